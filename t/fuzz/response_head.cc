// The answers of webhooks and back ends: status lines, headers of interim and final answers, Retry-After, and
// what becomes of a delivery by them.

#include "wire/response_head.h"

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/webhook_outcome.h"

namespace {

using await::fuzz::must;
using await::wire::ResponseHead;

constexpr std::int64_t kDay = std::int64_t{24} * 3600 * 1000;

/// @return the pause
std::optional<std::int64_t> check_retry_after(std::string_view value, std::int64_t now_ms) {
  auto pause = await::wire::retry_after_ms(value, now_ms, kDay);
  must(!pause || (*pause >= 0 && *pause <= kDay), "a pause without bounds");
  if (auto at = await::wire::parse_http_date(await::trim(value), now_ms / 1000)) {
    must(*at > -70'000'000'000 && *at < 260'000'000'000, "a date outside the years 0 to 9999");
    must(pause.has_value(), "a date that is no pause");
  }
  return pause;
}

void check_headers(ResponseHead &head) {
  for (const auto &[name, value] : head.headers()) {
    must(await::is_token(name), "a header without a name");
    must(value.find_first_of(std::string_view("\0\r\n", 3)) == value.npos, "a value that breaks its header");
    must(value == await::trim(value), "a value with space around it");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  std::int64_t now_ms = std::int64_t{in.byte()} * 30'000'000'000;
  double random = in.byte() / 255.0;
  int made = 1 + static_cast<int>(in.byte());
  std::string_view bytes = in.rest();
  ResponseHead head;
  std::size_t lines = 0;
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    std::string_view line = bytes.substr(0, end == bytes.npos ? end : end + 1);
    bytes.remove_prefix(line.size());
    auto step = head.feed(line);
    check_headers(head);
    must(head.headers().size() <= ++lines, "more headers than lines");
    if (step == ResponseHead::Step::more)
      continue;
    if (step == ResponseHead::Step::garbage) {
      must(*head.why() != '\0', "no reason");
      return 0;
    }
    must(head.status() >= 200 && head.status() <= 599, "a final status that is none");
    std::optional<std::int64_t> pause;
    for (const auto &[name, value] : head.headers()) {
      if (await::iequals(name, "retry-after"))
        pause = check_retry_after(value, now_ms);
    }
    auto outcome = await::wire::judge_webhook(head.status(), pause, made, 5000, random);
    using Kind = await::wire::WebhookOutcome::Kind;
    must((outcome.kind == Kind::delivered) == (head.status() < 300), "a success that is none");
    must((outcome.kind == Kind::gone) == (head.status() == 410), "gone");
    must(outcome.delay_ms >= 0 && outcome.delay_ms <= kDay, "a delay without bounds");
    must(outcome.kind != Kind::retry || outcome.delay_ms >= 4000, "a delay that is too short");
    return 0;
  }
  check_retry_after(in.rest(), now_ms);
  return 0;
}
