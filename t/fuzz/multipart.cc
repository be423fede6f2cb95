// Any body, cut anywhere, gives the same parts; and the parser holds a bounded number of bytes.

#include "wire/multipart.h"

#include <string>

#include "fuzz/input.h"

namespace {

using await::wire::Multipart;

std::string parts(std::string_view boundary, std::string_view body, std::size_t step) {
  Multipart parser(boundary);
  std::string out;
  while (!body.empty()) {
    parser.feed(body.substr(0, step));
    body.remove_prefix(std::min(step, body.size()));
    while (true) {
      Multipart::Event event = parser.next();
      if (event.what == Multipart::Event::What::more)
        break;
      if (event.what == Multipart::Event::What::error)
        return out + "!" + event.why;
      if (event.what == Multipart::Event::What::data)
        out += event.data;
      else if (event.what == Multipart::Event::What::part)
        out +=
            "[" + event.part->name + "|" + event.part->file_name.value_or("") + "|" + event.part->type + "]";
      else if (event.what == Multipart::Event::What::part_end)
        out += "/";
      else
        break;
    }
  }
  return out + (parser.ended() ? "." : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  std::size_t step = 1 + in.byte() % 31;
  std::string whole = parts("b", in.rest(), size + 1);
  await::fuzz::must(parts("b", in.rest(), step) == whole, "a cut changes what a form holds");
  await::fuzz::must(whole.size() <= 4 * size + 64, "more came out than went in");
  return 0;
}
