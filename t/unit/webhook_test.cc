#include <gtest/gtest.h>

#include "wire/webhook_outcome.h"
#include "wire/webhook_signature.h"
#include "wire/webhook_target.h"

namespace await::wire {
namespace {

// "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" in base64, of the test vector in the specification's libraries
const std::string kKey(
    "\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0", 24);

TEST(WebhookSignature, IsThatOfTheTestVectorOfStandardWebhooks) {
  EXPECT_EQ(webhook_signature(std::span(&kKey, 1), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                              R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, IsThereForEachKey) {
  const std::string keys[] = {kKey, std::string(24, 'x')};
  std::string both = webhook_signature(keys, "id", 1, "{}");
  EXPECT_EQ(both, webhook_signature(std::span(keys, 1), "id", 1, "{}") + " " +
                      webhook_signature(std::span(keys + 1, 1), "id", 1, "{}"));
  EXPECT_EQ(webhook_signature({}, "id", 1, "{}"), "");
}

TEST(WebhookSignature, DiffersForAnotherIdTimeOrBody) {
  auto sign = [](const char *id, std::int64_t at, const char *body) {
    return webhook_signature(std::span(&kKey, 1), id, at, body);
  };
  EXPECT_NE(sign("a", 1, "{}"), sign("b", 1, "{}"));
  EXPECT_NE(sign("a", 1, "{}"), sign("a", 2, "{}"));
  EXPECT_NE(sign("a", 1, "{}"), sign("a", 1, "{ }"));
}

struct UrlCase {
  const char *url;
  const char *host;  ///< null: it is refused
  int port;
};

TEST(WebhookUrl, IsTakenApart) {
  const UrlCase cases[] = {{"https://hooks.example/a?b=c", "hooks.example", 443},
                           {"HTTPS://Hooks.Example:8443", "hooks.example", 8443},
                           {"http://a_b-c.example/", "a_b-c.example", 80},
                           {"https://example?x=https://other.example/", "example", 443},
                           {"https://[2001:DB8::1]/x", "[2001:db8::1]", 443},
                           {"https://[::ffff:1.2.3.4]:444/x", "[::ffff:1.2.3.4]", 444}};
  for (const UrlCase &one : cases) {
    auto url = parse_webhook_url(one.url);
    ASSERT_TRUE(url) << one.url;
    EXPECT_EQ(url->host, one.host) << one.url;
    EXPECT_EQ(url->port, one.port) << one.url;
  }
  EXPECT_TRUE(parse_webhook_url("https://a")->tls);
  EXPECT_FALSE(parse_webhook_url("http://a")->tls);
}

TEST(WebhookUrl, IsDecodedOnceIfAClientHasEncodedIt) {
  EXPECT_TRUE(is_encoded_url("https%3A%2F%2Fa%2Fx"));
  EXPECT_TRUE(is_encoded_url("HTTP%3a%2f%2fa"));
  for (const char *text : {"", "http%3", "https://a/%3A", "%68ttps%3A", "ftp%3A%2F%2Fa", "httpsx%3A"})
    EXPECT_FALSE(is_encoded_url(text)) << text;
  EXPECT_EQ(decode_url("https%3A%2F%2Fa%2Fx%3Fy%3D%2520%26z"), "https://a/x?y=%20&z");
  EXPECT_EQ(decode_url("http%3A//a/%zz%4%"), "http://a/%zz%4%") << "what is no triple stays, and is refused";
  EXPECT_FALSE(parse_webhook_url(decode_url("https%3A%2F%2Fa%00b/")));
  EXPECT_FALSE(parse_webhook_url(decode_url("https%3A%2F%2Fa%23b/")));
  EXPECT_FALSE(parse_webhook_url(decode_url("https%253A%252F%252Fa/")));
}

TEST(WebhookUrl, IsRefusedIfItIsNoneThatADeliveryCanBeSentTo) {
  for (const char *url : {"",
                          "https://",
                          "https:///x",
                          "example.com",
                          "ftp://example.com/",
                          "javascript:alert(1)",
                          "//example.com",
                          "https://user@example.com/",
                          "https://user:secret@example.com/",
                          "https://example.com/#part",
                          "https://example.com:/",
                          "https://example.com:0/",
                          "https://example.com:65536/",
                          "https://example.com:123456",
                          "https://example.com:8 0/",
                          "https://exa mple.com/",
                          "https://example.com/a b",
                          "https://ex\xc3\xa4mple.com/",
                          "https://example.com/\r\nX: y",
                          "https://example.com\\@other/",
                          "https://[::1/",
                          "https://[]/",
                          "https://[x]/",
                          "https://a,b/",
                          "https://%31/",
                          "file:///etc/passwd",
                          "https://example.com/{x}",
                          "https://a:b:1/"})
    EXPECT_FALSE(parse_webhook_url(url)) << url;
  EXPECT_FALSE(parse_webhook_url(std::string("https://a/\0b", 12)));
  EXPECT_TRUE(parse_webhook_url("https://a/" + std::string(1990, 'x')));
  EXPECT_FALSE(parse_webhook_url("https://a/" + std::string(1991, 'x')));
}

TEST(WebhookHost, StandsForUrls) {
  struct Case {
    const char *pattern;
    const char *url;
    bool fits;
  };
  const Case cases[] = {{"a.example", "https://a.example/x", true},
                        {"A.Example", "https://a.EXAMPLE/x", true},
                        {"a.example", "https://b.example/x", false},
                        {"a.example", "https://x.a.example/", false},
                        {"a.example", "https://a.example.evil/", false},
                        {"a.example", "https://a.example:8443/", false},
                        {"a.example", "http://a.example/", false},
                        {"a.example:8443", "https://a.example:8443/", true},
                        {"a.example:8443", "https://a.example/", false},
                        {"http://a.example", "http://a.example/", true},
                        {"http://a.example", "https://a.example/", false},
                        {"http://a.example", "http://a.example:443/", false},
                        {"https://a.example", "https://a.example:443/", true},
                        {"*.example", "https://a.example/", true},
                        {"*.example", "https://a.b.example/", true},
                        {"*.example", "https://example/", false},
                        {"*.example", "https://aexample/", false},
                        {"*", "https://anything/", true},
                        {"*", "http://anything/", false},
                        {"[::1]:44", "https://[::1]:44/", true}};
  for (const Case &one : cases) {
    EXPECT_TRUE(is_webhook_host(one.pattern)) << one.pattern;
    EXPECT_EQ(fits_webhook_host(*parse_webhook_url(one.url), one.pattern), one.fits)
        << one.pattern << " " << one.url;
  }
  for (const char *pattern : {"", "https://", "a/b", "https://a/", "a b", "*a", "a.*", "**", "*.", "a:0",
                              "a:x", "ftp://a", "user@a", "$host"})
    EXPECT_FALSE(is_webhook_host(pattern)) << pattern;
}

TEST(WebhookJson, HasTheUrlAndTheTypes) {
  const std::string types[] = {"pending", "completed"};
  EXPECT_EQ(webhook_json("https://a/?x=\"", {}), R"({"url":"https://a/?x=\""})");
  EXPECT_EQ(webhook_json("https://a/", types), R"({"url":"https://a/","on":["pending","completed"]})");
  for (const char *type : {"pending", "*", "batch.ready", "node_started"})
    EXPECT_TRUE(is_webhook_type(type)) << type;
  for (const char *type : {"", "Pending", "a b", "**", "a,b", "\xc3\xa4"})
    EXPECT_FALSE(is_webhook_type(type)) << type;
}

TEST(WebhookOutcome, DelaysGrowToEightHoursAndFillThreeDays) {
  EXPECT_EQ(webhook_delay_ms(1, 5000, 0.5), 5000);
  EXPECT_EQ(webhook_delay_ms(2, 5000, 0.5), 15000);
  EXPECT_EQ(webhook_delay_ms(3, 5000, 0.5), 45000);
  EXPECT_EQ(webhook_delay_ms(9, 5000, 0.5), 8 * 3600 * 1000);
  EXPECT_EQ(webhook_delay_ms(1'000'000'000, 5000, 0.5), 8 * 3600 * 1000);
  EXPECT_EQ(webhook_delay_ms(1, 5000, 0), 4000);
  EXPECT_EQ(webhook_delay_ms(1, 5000, 1), 6000);
  std::int64_t whole = 0;
  int attempts = 1;
  for (; whole <= std::int64_t{72} * 3600 * 1000; ++attempts)
    whole += webhook_delay_ms(attempts, 5000, 0.5);
  EXPECT_GE(attempts, 15);
  EXPECT_LE(attempts, 20);
}

TEST(WebhookOutcome, OnlySuccessIsSuccess) {
  using Kind = WebhookOutcome::Kind;
  for (int status : {200, 201, 202, 204, 299})
    EXPECT_EQ(judge_webhook(status, {}, 1, 5000, 0.5).kind, Kind::delivered) << status;
  EXPECT_EQ(judge_webhook(410, 1000, 1, 5000, 0.5).kind, Kind::gone);
  for (int status : {0, 100, 301, 302, 307, 304, 400, 401, 404, 429, 500, 503, 599, 999})
    EXPECT_EQ(judge_webhook(status, {}, 1, 5000, 0.5).kind, Kind::retry) << status;
}

TEST(WebhookOutcome, RetryAfterIsHeededWhereItIsMeant) {
  for (int status : {429, 503}) {
    EXPECT_EQ(judge_webhook(status, 60'000, 1, 5000, 0.5).delay_ms, 60'000) << status;
    EXPECT_EQ(judge_webhook(status, 10, 1, 5000, 0.5).delay_ms, 5000) << status;
    EXPECT_EQ(judge_webhook(status, {}, 1, 5000, 0.5).delay_ms, 5000) << status;
  }
  EXPECT_EQ(judge_webhook(500, 60'000, 1, 5000, 0.5).delay_ms, 5000);
}

}  // namespace
}  // namespace await::wire
