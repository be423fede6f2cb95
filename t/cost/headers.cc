// What stands in a request's head: lists, preferences, ranges, tokens, cursors. nginx bounds it to some KB;
// the cost is looked at beyond that.

#include <array>

#include "base/text.h"
#include "core/cursor.h"
#include "core/hint.h"
#include "core/multi_cursor.h"
#include "core/snapshot_cursor.h"
#include "cost/measure.h"
#include "wire/accept.h"
#include "wire/channel.h"
#include "wire/cursor_key.h"
#include "wire/headers.h"
#include "wire/idempotency.h"
#include "wire/json_writer.h"
#include "wire/jwt.h"
#include "wire/prefer.h"
#include "wire/replay.h"
#include "wire/signed_hint.h"
#include "wire/ticket.h"

namespace await::cost {
namespace {

constexpr char kSecret[] = "a secret of more than thirty-two bytes, for tests";

void accept(std::string_view text) {
  constexpr std::array<std::string_view, 3> kOffers{"application/json", "text/event-stream", "text/plain"};
  int chosen = wire::choose(text, kOffers);
  keep(&chosen);
}

void prefer(std::string_view text) {
  wire::Prefer prefer;
  wire::parse_prefer(text, prefer);
  keep(&prefer);
}

void etags(std::string_view text) {
  bool listed = wire::etag_listed(text, "\"7-a\"");
  keep(&listed);
}

void range(std::string_view text) {
  auto range = wire::parse_range(text, 1000);
  keep(&range);
}

void type(std::string_view text) {
  bool good = wire::is_media_type(text);
  auto boundary = wire::parameter(text, "boundary");
  keep(&good);
  keep(&boundary);
}

void backend_request(std::string_view text) {
  auto target = wire::clean_target(text);
  std::string params =
      "{\"uri\":" + wire::json_string(text) + ",\"headers\":{\"a\":" + wire::json_string(text) + "}}";
  auto replay = wire::parse_replay(params);
  keep(&target);
  keep(&replay);
}

void file_name(std::string_view text) {
  std::string out = wire::disposition(true, std::string(text));
  keep(&out);
}

void key(std::string_view text) {
  auto key = wire::parse_idempotency_key(text);
  keep(&key);
}

void token(std::string_view text) {
  static const wire::JwtKeys keys = [] {
    wire::JwtKeys made;
    made.add(kSecret);
    return made;
  }();
  const char *why = nullptr;
  auto claims = wire::verify_jwt(text, keys, {}, 1, why);
  keep(&claims);
}

void claims(std::string_view text) {
  wire::JwtClaims claims{std::string(text)};
  bool holds = claims.holds("aud", "me");
  keep(&holds);
}

/// The current key and the one before.
const std::vector<std::string> &keys() {
  static const std::vector<std::string> both = {kSecret, "the one before"};
  return both;
}

const core::CursorKeys &cursor_keys() {
  static const core::CursorKeys both = {wire::cursor_key(keys()[0]), wire::cursor_key(keys()[1])};
  return both;
}

void ticket(std::string_view text) {
  auto ticket = wire::unseal(text, keys());
  keep(&ticket);
}

void cursor(std::string_view text) {
  Uuid topic = wire::topic_id("t");
  Uuid user = wire::user_id("u");
  auto seq = core::decode_cursor(text, 1, topic);
  auto since = core::decode_snapshot_cursor(cursor_keys(), text, 1, user);
  std::string one = core::cursor_for(topic, std::string(text));
  keep(&seq);
  keep(&since);
  keep(&one);
}

void hint(std::string_view text) {
  static wire::Verifier verifier;
  verifier.learn(keys());
  auto hint = core::read_hint(text);
  if (!hint)
    return;
  bool is_signed = verifier.is_signed(*hint);
  auto told = wire::read_signed_hint(*hint, "timeline");
  keep(&is_signed);
  keep(&told);
}

void channel(std::string_view text) {
  auto what = wire::parse_channel(text);
  keep(&what);
}

std::string jwt(const std::string &head, const std::string &body) {
  return base64url(head) + "." + base64url(body) + ".AAAA";
}

std::string since_of(std::size_t n) {
  core::SnapshotCursor since;
  std::uint64_t xid = 1000;
  since.seen.text = "1000:" + std::to_string(1000 + 2 * n) + ":";
  for (std::size_t i = 0; i < n; ++i)
    since.seen.text += (i > 0 ? "," : "") + std::to_string(xid += 1);
  return core::encode_snapshot_cursor(cursor_keys(), 1, wire::user_id("u"), since);
}

}  // namespace

std::vector<Case> header_cases() {
  auto text = [](const char *piece) { return [piece](std::size_t n) { return repeat(n, piece); }; };
  auto behind = [](const char *front, const char *piece) {
    return [front, piece](std::size_t n) { return front + repeat(n, piece); };
  };
  auto claims_of = [](std::size_t n) {
    return jwt(R"({"alg":"HS256"})",
               "{" + each(n, [](auto i) { return "\"" + std::to_string(i) + "\":1,"; }) + "\"a\":1}");
  };
  auto audience = [](std::size_t n) { return "{\"aud\":[" + repeat(n, "\"you\",") + "\"\"]}"; };
  auto hint_of = [](std::size_t n) {
    return "1 01900000-0001-7645-b3ec-99daaec2129a 3 completed AAAA {\"x\":\"" + std::string(n, 'x') + "\"}";
  };
  auto deep_hint = [](std::size_t n) {
    return "1 01900000-0001-7645-b3ec-99daaec2129a 3 completed AAAA " + repeat(n, "{\"event\":");
  };
  return {
      {"accept: types", 2000, text("text/html;q=0.5,"), accept, at_most(4096)},
      {"accept: parameters", 4000, behind("text/html", ";a=b"), accept, at_most(4096)},
      {"accept: commas", 16000, text(","), accept, at_most(4096)},
      {"prefer: preferences", 4000, text("wait=1,"), prefer, at_most(4096)},
      {"prefer: parameters", 8000, behind("wait=1", ";a"), prefer, at_most(4096)},
      {"prefer: a number", 16000, behind("wait=", "9"), prefer, at_most(4096)},
      {"etags: a list", 4000, text("W/\"6-a\", "), etags, at_most(4096)},
      {"etags: commas and spaces", 16000, text(" ,"), etags, at_most(4096)},
      {"range: ranges", 8000, behind("bytes=", "0-1,"), range, at_most(4096)},
      {"range: digits", 16000, behind("bytes=", "9"), range, at_most(4096)},
      {"content-type: parameters", 8000, behind("multipart/form-data", ";a=b"), type, times(2)},
      {"content-type: a quoted string", 8000, behind("multipart/form-data;boundary=\"", "\\\""), type,
       times(4)},
      {"content-type: equals signs", 8000, behind("multipart/form-data;", "="), type, times(4)},
      {"content-type: percent", 4000, behind("multipart/form-data;boundary=", "%22"), type, times(4)},
      {"a request for a back end: dots", 8000, behind("/", "%2e/"), backend_request, times(40)},
      {"a request for a back end: bytes to encode", 8000, behind("/", "\x01\""), backend_request, times(60)},
      {"content-disposition: a name", 8000, text("\xc3\xa9"), file_name, times(40)},
      {"idempotency-key: escapes", 8000, behind("\"", "\\\\"), key, times(4)},
      {"idempotency-key: parameters", 8000, behind("\"k\"", ";a=\"b\""), key, times(4)},
      {"jwt: dots", 3000, text("."), token, times(4)},
      {"jwt: a head", 2000,
       [](std::size_t n) { return jwt("{\"alg\":\"HS256\",\"x\":\"" + std::string(n, 'x') + "\"}", "{}"); },
       token, times(12)},
      {"jwt: a deep head", 500, [](std::size_t n) { return jwt(repeat(n, "{\"a\":"), "{}"); }, token,
       times(40)},
      {"jwt: claims", 250, claims_of, token, times(60)},
      {"jwt: an audience", 2000, audience, claims, times(60)},
      {"ticket: bytes", 900, text("a"), ticket, times(12)},
      {"cursor: bytes", 16000, text("a"), cursor, times(8)},
      {"cursor: dots", 250, text("."), cursor, times(8)},
      {"cursor: parts", 80, text("AAAA."), cursor, times(16)},
      {"cursor: dots, too many", 16000, text("."), cursor, times(8)},
      {"cursor: of a user, many transactions", 120, since_of, cursor, times(60)},
      {"hint: a payload", 4000, hint_of, hint, times(12)},
      {"hint: a deep payload", 1000, deep_hint, hint, times(100)},
      {"hint: spaces", 16000, text("1 "), hint, times(4)},
      {"channel: a topic", 16000, behind("topic:", "t"), channel, times(4)},
      {"channel: a user", 16000, behind("user:", "\xc3\xa9"), channel, times(4)},
  };
}

}  // namespace await::cost
