// What the target of a webhook, or a back end, answers.

#include "cost/measure.h"
#include "wire/response_head.h"

namespace await::cost {
namespace {

void head(std::string_view bytes) {
  wire::ResponseHead reader;
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    std::string_view line = bytes.substr(0, end == bytes.npos ? end : end + 1);
    bytes.remove_prefix(line.size());
    if (reader.feed(line) != wire::ResponseHead::Step::more)
      return;
  }
}
void retry_after(std::string_view value) { wire::retry_after_ms(value, 1'795'000'000'000, 86'400'000); }

}  // namespace

std::vector<Case> answer_cases() {
  auto text = [](const char *piece) { return [piece](std::size_t n) { return repeat(n, piece); }; };
  auto behind = [](const char *front, const char *piece) {
    return [front, piece](std::size_t n) { return front + repeat(n, piece); };
  };
  return {
      {"answer: headers", 2000, behind("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"), head, times(32)},
      {"answer: a folded header", 8000, behind("HTTP/1.1 200 OK\r\nX-A: b\r\n", " c\r\n"), head, times(4)},
      {"answer: folded nothing", 8000, behind("HTTP/1.1 200 OK\r\nX-A: b\r\n", " \r\n"), head, times(4)},
      {"answer: interim answers", 2000, text("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), head,
       at_most(4096)},
      {"answer: a line without an end", 40000, behind("HTTP/1.1 200 OK\r\nX-A: ", "b"), head, times(4)},
      {"answer: a name without an end", 40000, behind("HTTP/1.1 200 OK\r\n", "b"), head, times(4)},
      {"answer: ends of lines", 40000, behind("HTTP/1.1 200 OK\r\nX-A: b", "\r"), head, at_most(4096)},
      {"retry-after: digits", 40000, text("9"), retry_after, at_most(4096)},
      {"retry-after: spaces", 40000, text(" "), retry_after, at_most(4096)},
      {"retry-after: a name without an end", 40000, text("Sunday"), retry_after, at_most(4096)},
  };
}

}  // namespace await::cost
