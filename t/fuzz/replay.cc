// The params of jobs that a worker plays to a back end, and the URLs of back ends: nothing of them breaks out
// of the line of a request or of a header, and what was read is written and read again as the same.

#include "wire/replay.h"

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/headers.h"

namespace {

using namespace await;
using fuzz::must;

bool is_line(std::string_view text) {
  for (unsigned char c : text) {
    if ((c < 0x20 && c != '\t') || c == 0x7f)
      return false;
  }
  return true;
}

void check_target(std::string_view text) {
  auto target = wire::clean_target(text);
  if (!target)
    return;
  must(target->starts_with('/') && is_line(*target) && target->find(' ') == std::string::npos,
       "an odd target");
  must(target->find("/../") >= std::min(target->find('?'), target->size()), "a way out of the path");
  must(wire::clean_target(*target) == target, "a target that changes again");
}

void check_replay(const std::string &params) {
  auto replay = wire::parse_replay(params);
  if (!replay)
    return;
  must(wire::is_replayed_method(replay->method), "an odd method");
  must(replay->origin.empty() || wire::parse_backend(replay->origin), "an odd origin");
  for (const auto &[name, value] : replay->headers)
    must(is_token(name) && wire::is_replayed_header(name) && is_line(value), "an odd header");
  auto again = wire::parse_replay(wire::encode(*replay));
  must(again && again->uri == replay->uri && again->method == replay->method &&
           again->origin == replay->origin && again->headers.size() <= replay->headers.size(),
       "a request that changes when it is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  check_target(text);
  check_target("/" + text);
  check_replay(text);
  check_replay("{\"uri\":" + text + "}");
  check_replay("{\"headers\":{" + text + "}}");
  if (auto backend = wire::parse_backend("http://" + text))
    must(is_line(backend->origin) && backend->origin.find('@') == std::string::npos &&
             wire::parse_backend(backend->origin + backend->path),
         "an odd back end");
  if (auto name = wire::disposition_file_name(text))
    must(!name->empty() && name->size() <= 255 && is_line(*name) && name->find('/') == std::string::npos &&
             name->find('\\') == std::string::npos && is_text(*name),
         "an odd file name");
  return 0;
}
