#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::redis {

/// Reads along with what a Redis sends and says whether the parser may have it. hiredis allocates what a head
/// announces: "*1000000000" is eight gigabytes before the first element is there. What we ask for is answered
/// by short lines, and by flat arrays of a few strings; whoever sends else is no Redis, or none that is well.
/// Holds nothing of it, and takes one step a byte, or one for all bytes of a string.
/// Source: the Redis serialization protocol specification, RESP2.
class ReplyGuard {
 public:
  static constexpr std::int64_t kMaxElements = 16;
  static constexpr std::int64_t kMaxBulk = std::int64_t{1} << 20;
  static constexpr std::size_t kMaxReply = std::size_t{1} << 20;  ///< all of it, heads too
  static constexpr std::size_t kMaxLine = 1024;                   ///< a status or an error

  /// Takes the next bytes. Null: they may be parsed; else what is wrong with them, now and for good.
  const char *feed(std::string_view bytes);

  /// Bytes of the reply that has begun.
  std::size_t pending() const { return size_; }

 private:
  enum class At : std::uint8_t { type, line, number, number_end, bulk, bulk_cr, bulk_lf };
  void step(char c);
  void type(char c);
  void line(char c);
  void number(char c);
  bool leading_zero(char c) const;
  void head();
  void done();
  void fail(const char *why) { error_ = why; }

  const char *error_ = nullptr;
  At at_ = At::type;
  char type_ = 0;
  bool cr_ = false;  // a line ends
  bool negative_ = false;
  std::uint8_t digits_ = 0;
  std::int64_t value_ = 0;     // of a number; of a string what is still to come
  std::int64_t elements_ = 0;  // of the array that has begun, still to come
  std::size_t line_ = 0;
  std::size_t size_ = 0;
};

}  // namespace await::redis
