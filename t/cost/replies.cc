// What a Redis sends, or somebody who stands where it was.

#include "cost/measure.h"
#include "redis/reply_guard.h"

namespace await::cost {
namespace {

void take(std::string_view bytes, std::size_t piece) {
  redis::ReplyGuard guard;
  in_pieces(bytes, piece, [&](std::string_view some) { return guard.feed(some) == nullptr; });
}
void read(std::string_view bytes) { take(bytes, 16384); }
void byte_by_byte(std::string_view bytes) { take(bytes, 1); }

}  // namespace

std::vector<Case> reply_cases() {
  auto of = [](const char *piece) { return [piece](std::size_t n) { return repeat(n, piece); }; };
  auto behind = [](const char *front, const char *piece) {
    return [front, piece](std::size_t n) { return front + repeat(n, piece); };
  };
  auto bulk = [](std::size_t n) { return "$" + std::to_string(n) + "\r\n" + std::string(n, 'x') + "\r\n"; };
  return {
      {"redis: integers", 8000, of(":1\r\n"), read, at_most(0)},
      {"redis: messages", 2000, of("*3\r\n$7\r\nmessage\r\n$7\r\nawait:1\r\n$1\r\nx\r\n"), byte_by_byte,
       at_most(0)},
      {"redis: a string", 100000, bulk, byte_by_byte, at_most(0)},
      {"redis: a line without an end", 20000, behind("+", "x"), byte_by_byte, at_most(0)},
      {"redis: a number without an end", 20000, behind(":", "1"), byte_by_byte, at_most(0)},
      {"redis: a long array", 20000, behind("*1000000000\r\n", ":1\r\n"), read, at_most(0)},
      {"redis: arrays in arrays", 20000, of("*1\r\n"), read, at_most(0)},
      {"redis: arrays of nothing", 8000, of("*0\r\n"), read, at_most(0)},
      {"redis: empty strings", 8000, of("$0\r\n\r\n"), read, at_most(0)},
      {"redis: nothing", 8000, of("$-1\r\n*-1\r\n"), read, at_most(0)},
  };
}

}  // namespace await::cost
