#include "http/exchange/recording.h"

#include <algorithm>

#include "base/text.h"
#include "http/exchange/request.h"
#include "ngx/str.h"
#include "wire/raw_json.h"
#include "wire/replay.h"

namespace await::http {
namespace {

constexpr std::size_t kMaxParams = 64 * 1024;

// These say something about the connection to the back end, or need a header that is not stored
constexpr std::string_view kNotPassedOn = "401 405 407 408 411 416 417 421 425 426 429";

/// Whether a header can be sent later as it is, and stored as JSON.
bool is_plain(std::string_view value) {
  return is_text(value) && std::none_of(value.begin(), value.end(),
                                        [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

}  // namespace

Refusal record_request(ngx_http_request_t *r, const ProxyOptions &options, core::NewJob &job) {
  wire::Replay replay;
  replay.origin = ngx::view(options.origin);
  replay.method = ngx::view(r->method_name);
  std::string asked(options.uri != nullptr ? ngx::evaluate(r, options.uri) : ngx::view(r->unparsed_uri));
  if (options.uri == nullptr && !asked.starts_with('/'))
    asked.insert(0, "/");  // of an absolute URI without a path
  auto target = wire::clean_target(asked);
  if (!target)
    return send_problem(r, 400, "The path has a segment \".\" or \"..\", which is not passed on.");
  replay.uri = std::move(*target);
  std::string connection = header(r, "connection");  // names headers that go no further, RFC 9110 §7.6.1
  auto *names = static_cast<ngx_str_t *>(options.headers->elts);
  for (ngx_uint_t i = 0; i < options.headers->nelts; ++i) {
    std::string name(ngx::view(names[i]));
    if (!has_header(r, name) || lists(connection, name))
      continue;
    std::string value = header(r, name);
    if (!is_plain(value))
      return send_problem(r, 400,
                          "The header " + name + " is not valid UTF-8, or contains a control character.");
    replay.headers.emplace_back(std::move(name), std::move(value));
  }
  job.params = wire::encode(replay);
  if (job.params->size() > kMaxParams)
    return send_problem(r, 413, "The path and the headers that are stored with the job exceed 64 KB.");
  return std::nullopt;
}

ngx_uint_t failed_status(const std::optional<std::string> &error) {
  auto status = error ? wire::raw_find(*error, "backend_status") : std::nullopt;
  std::string_view number = status.value_or("");
  bool passed_on = number.size() == 3 && number[0] == '4' && parse_number(number) &&
                   kNotPassedOn.find(number) == std::string_view::npos;
  return passed_on ? static_cast<ngx_uint_t>(*parse_number(number)) : 424;
}

}  // namespace await::http
