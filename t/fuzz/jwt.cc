// Tokens: whatever the bytes, none is believed that the key's owner has not signed; and key files of any
// content.

#include "wire/jwt.h"

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  static const wire::JwtKeys keys = [] {
    wire::JwtKeys made;
    fuzz::must(made.add("a secret that the fuzzer does not know, 4242") == nullptr, "a secret that is none");
    return made;
  }();
  std::string_view text = in.text();
  const char *why = nullptr;
  fuzz::must(!wire::verify_jwt(text, keys, {}, 0, why), "a token that nobody signed");
  fuzz::must(why != nullptr, "refused without a reason");

  wire::JwtKeys any;
  if (any.add(in.rest()) == nullptr) {
    for (const auto &key : any.all())
      fuzz::must(!key.key.empty(), "a key without a key");
    wire::verify_jwt(text, any, {}, 0, why);
  }
  wire::JwtClaims claims{std::string(in.rest())};
  claims.get("sub");
  claims.time("exp");
  claims.holds("aud", "x");
  return 0;
}
