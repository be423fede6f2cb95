// Forms: their fields, and how they are taken apart.

#include "wire/form_fields.h"

#include "cost/measure.h"
#include "wire/multipart.h"

namespace await::cost {
namespace {

using What = wire::Multipart::Event::What;

/// As http/submit does it: a form is taken as far as it is good.
void take_form(std::string_view body, std::size_t piece, bool kept) {
  wire::Multipart form("b");
  wire::FormFields fields;
  bool good = true;
  in_pieces(body, piece, [&](std::string_view bytes) {
    form.feed(bytes);
    while (good) {
      auto event = form.next();
      if (event.what == What::more)
        break;
      good = event.what != What::error;
      if (event.what == What::part && kept)
        good = fields.open(event.part->name);
      if (event.what == What::data && kept)
        good = fields.append(event.data);
      if (event.what == What::part_end && kept)
        good = fields.close() == nullptr;
    }
    return good;
  });
  std::string json = fields.json();
  keep(&json);
}

void kept(std::string_view body) { take_form(body, 16384, true); }
void not_kept(std::string_view body) { take_form(body, 16384, false); }
void byte_by_byte(std::string_view body) { take_form(body, 1, true); }

std::string part(const std::string &name, const std::string &value) {
  return "--b\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\n" + value + "\r\n";
}

}  // namespace

std::vector<Case> form_cases() {
  // 64 KB of names and values with the tree and strings around them, what they are written as, a piece of
  // input
  constexpr std::size_t kForm = 800 * 1024;
  auto names = [](std::size_t n) { return each(n, [](auto i) { return part(std::to_string(i), ""); }); };
  auto same = [](std::size_t n) { return repeat(n, part("a", "")); };
  auto values = [](std::size_t n) {
    return each(n, [](auto i) { return part(std::to_string(i), std::string(40, 'v')); });
  };
  auto controls = [](std::size_t n) { return part("a", std::string(n, '\1')); };
  auto long_names = [](std::size_t n) {
    return each(n, [](auto i) { return part(std::string(7900, 'n') + std::to_string(i), ""); });
  };
  auto preamble = [](std::size_t n) { return repeat(n, "\r\n--") + part("a", "v"); };
  auto one = [](const char *text) { return [text](std::size_t n) { return part("a", repeat(n, text)); }; };
  auto head = [](const char *line) {
    return [line](std::size_t n) { return "--b\r\n" + repeat(n, line) + "\r\n\r\n"; };
  };
  return {
      {"form: empty fields", 400, names, kept, at_most(kForm)},
      {"form: empty fields, too many", 20000, names, kept, at_most(kForm)},
      {"form: empty fields that nobody wants", 20000, names, not_kept, at_most(65536)},
      {"form: one field again and again", 400, same, kept, at_most(kForm)},
      {"form: one field, too often", 20000, same, kept, at_most(kForm)},
      {"form: fields with values", 400, values, kept, at_most(kForm)},
      {"form: names of 8 KB", 4, long_names, kept, at_most(kForm)},
      {"form: names of 8 KB, too many", 200, long_names, kept, at_most(kForm)},
      {"form: names of 8 KB that nobody wants", 200, long_names, not_kept, at_most(131072)},
      {"form: a value that grows when it is written", 20000, controls, kept, at_most(2 * kForm)},
      {"form: a preamble of half boundaries", 4000, preamble, kept, at_most(kForm)},
      {"form: half boundaries", 4000, one("\r\n-"), kept, at_most(kForm)},
      {"form: near boundaries", 4000, one("\r\n--a"), kept, at_most(kForm)},
      {"form: line ends", 10000, one("\r"), kept, at_most(kForm)},
      {"form: near boundaries, byte by byte", 2000, one("\r\n--a"), byte_by_byte, at_most(kForm)},
      {"form: header lines", 500, head("X: y\r\n"), kept, at_most(65536)},
      {"form: header lines, byte by byte", 500, head("X: y\r\n"), byte_by_byte, at_most(65536)},
      {"form: a header of semicolons", 3500, head("Content-Disposition: form-data;;;;;;;;;;;;;;;;;;;;\r\n"),
       kept, at_most(65536)},
      {"form: a header without an end, byte by byte", 3900, head("x"), byte_by_byte, at_most(65536)},
      {"form: a boundary line without an end", 20000,
       [](std::size_t n) { return "--b" + std::string(n, ' '); }, byte_by_byte, at_most(65536)},
  };
}

}  // namespace await::cost
