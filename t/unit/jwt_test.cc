#include <gtest/gtest.h>

#include "base/text.h"
#include "wire/jwt.h"

namespace await::wire {
namespace {

TEST(Jwt, the_example_of_rfc_7515_is_verified) {
  JwtKeys keys;
  ASSERT_EQ(
      keys.add(
          R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})"),
      nullptr);
  std::string token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
      "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const char *why = "";
  auto claims = verify_jwt(token, keys, {}, 1300819380, why);
  ASSERT_TRUE(claims) << why;
  EXPECT_EQ(claims->get("iss"), "joe");
  EXPECT_EQ(claims->get("http://example.com/is_root"), "true");
  EXPECT_EQ(claims->get("sub"), std::nullopt);
  EXPECT_EQ(claims->time("exp"), 1300819380);
  EXPECT_TRUE(claims->holds("iss", "joe"));
  EXPECT_FALSE(claims->holds("iss", "jo"));
  EXPECT_FALSE(verify_jwt(token, keys, {}, 1300819411, why));
  EXPECT_STREQ(why, "expired");
  EXPECT_FALSE(verify_jwt(token, keys, {{{"iss", "jane"}}, 30}, 1300819380, why));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    // the last character's two low bits are none of the signature's
    EXPECT_TRUE(i + 1 == token.size() || !verify_jwt(changed, keys, {}, 1300819380, why)) << i;
  }
}

TEST(Jwt, invalid_keys_are_rejected) {
  for (const char *bad : {"", "short", "{", "{}", "[]", R"({"keys":[]})", R"({"keys":[1]})",
                          R"({"kty":"oct","k":"AAAA"})", R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})",
                          "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}) {
    JwtKeys keys;
    EXPECT_NE(keys.add(bad), nullptr) << bad;
  }
}

}  // namespace
}  // namespace await::wire
