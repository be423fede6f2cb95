#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "base/text.h"
#include "wire/signed_hint.h"

namespace await::wire {
namespace {

std::string signed_hint(const std::string &key, const std::string &head, const std::string &json) {
  std::string text = head + " " + json;
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char *>(text.data()), text.size(), mac, &size);
  return head + " " + base64url({reinterpret_cast<char *>(mac), size}) + " " + json;
}

constexpr char kHead[] = "1 01a20fa0-14c1-753a-a07f-b3be7213ba44 3 completed";
constexpr char kJson[] =
    R"({"t": "7.1", "queue": "q", "owner": "ann", "state": "completed", "attempt": 2, "params": "{\"a\": 1}", "created_at": 1000, "at": 2000, "data": null, "status": 201, "content_type": "text/plain", "size": 2, "body": "eHg"})";

TEST(SignedHint, only_a_hint_signed_with_the_key_is_valid) {
  std::string message = signed_hint("secret", kHead, kJson);
  Verifier verifier;
  EXPECT_FALSE(verifier.is_signed(*core::read_hint(message))) << "before a key is known";
  verifier.learn(std::vector<std::string>{"a newer one", "secret"});
  EXPECT_TRUE(verifier.is_signed(*core::read_hint(message)));
  for (std::size_t at = 0; at < message.size(); at += 3) {
    std::string changed = message;
    changed[at] = changed[at] == 'x' ? 'y' : 'x';
    auto hint = core::read_hint(changed);
    EXPECT_FALSE(hint && verifier.is_signed(*hint)) << changed;
  }
  verifier.learn(std::vector<std::string>{"another"});
  EXPECT_FALSE(verifier.is_signed(*core::read_hint(message)));
  EXPECT_FALSE(verifier.is_signed(*core::read_hint(kHead)));
}

TEST(SignedHint, decodes_to_what_a_read_would_return) {
  std::string message = signed_hint("secret", kHead, kJson);
  auto told = read_signed_hint(*core::read_hint(message), "7.1");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->job.seq, 3);
  EXPECT_EQ(told->job.owner, "ann");
  EXPECT_EQ(told->job.params, R"({"a": 1})");
  EXPECT_EQ(told->job.result->status, 201);
  EXPECT_EQ(told->job.result->body->view(), "xx");
  EXPECT_TRUE(told->has_body());
  EXPECT_EQ(told->page.events[0].type, "completed");
  EXPECT_EQ(told->page.events[0].at, 2000);
  EXPECT_FALSE(read_signed_hint(*core::read_hint(message), "7.2")) << "another line of history";
  EXPECT_FALSE(read_signed_hint(*core::read_hint(std::string(kHead) + " sig {\"t\":"), "7.1"));
  EXPECT_FALSE(read_signed_hint(
      *core::read_hint(std::string(kHead) + " sig {\"t\":\"7.1\",\"state\":\"odd\"}"), "7.1"));
}

}  // namespace
}  // namespace await::wire
