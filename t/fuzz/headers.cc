// Header fields of requests: Prefer, Idempotency-Key, Accept, If-None-Match, Range, Content-Type and its
// parameters; and what we write from them stays on one line.

#include "wire/headers.h"

#include <array>

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/accept.h"
#include "wire/idempotency.h"
#include "wire/prefer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  using fuzz::must;
  fuzz::Input in(data, size);
  std::string_view field = in.text();

  wire::Prefer prefer;
  wire::parse_prefer(field, prefer);
  must(!prefer.wait_s || *prefer.wait_s >= 0, "a negative wait");

  if (auto key = wire::parse_idempotency_key(field)) {
    must(!key->empty() && key->size() <= 255, "a key without bounds");
    std::string again = "\"";
    for (unsigned char c : *key) {
      must(c >= 0x20 && c < 0x7f, "a key that is not printable");
      again += c == '"' || c == '\\' ? std::string("\\") + static_cast<char>(c)
                                     : std::string(1, static_cast<char>(c));
    }
    must(wire::parse_idempotency_key(again + "\"") == key, "a key that cannot be said");
    must(wire::parse_idempotency_key(again + "\";a=\"b\" ; c") == key, "a key that its parameters change");
  }

  constexpr std::array<std::string_view, 3> kOffers = {"application/json", "text/plain", "text/event-stream"};
  int chosen = wire::choose(field, kOffers);
  must(chosen >= -1 && chosen < 3, "an offer that is none");

  wire::etag_listed(field, "W/\"3-json\"");
  must(wire::etag_listed("\"a\", W/\"3-json\"", "W/\"3-json\""), "a listed etag");

  auto length = static_cast<std::int64_t>(in.byte()) * 7;
  auto range = wire::parse_range(field, length);
  if (range.kind == wire::Range::Kind::part)
    must(range.first >= 0 && range.first <= range.last && range.last < length, "a range outside the body");

  if (wire::is_media_type(field)) {
    must(field.find_first_of("\r\n") == field.npos && field.find('\0') == field.npos,
         "a type that breaks its header");
    must(wire::essence(field).find('/') != std::string::npos, "a type without subtype");
  }
  wire::parameter(field, "boundary");

  std::string name(in.rest());
  std::string_view base = wire::base_name(name);
  must(base.find('/') == base.npos && base.find('\\') == base.npos, "a path in a file name");
  if (is_text(base)) {
    std::string out = wire::disposition(true, std::string(base));
    for (unsigned char c : out)
      must(c >= 0x20 && c < 0x7f, "a file name that breaks its header");
  }
  return 0;
}
