#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::redis {

/// Checks what a Redis server sends before it is passed to the parser. hiredis allocates as much memory as a
/// header announces: "*1000000000" means eight gigabytes before the first element arrives. The replies to our
/// commands are short lines and flat arrays of a few strings; anything else is rejected. Stores no data, and
/// takes one step per byte, or one for all bytes of a string. Source: the Redis serialization protocol
/// specification, RESP2.
class ReplyGuard {
 public:
  static constexpr std::int64_t kMaxElements = 16;
  static constexpr std::int64_t kMaxBulk = std::int64_t{1} << 20;
  static constexpr std::size_t kMaxReply = std::size_t{1} << 20;  ///< of a whole reply, including headers
  static constexpr std::size_t kMaxLine = 4096;                   ///< of a status or an error

  /// Checks the next bytes. Returns null if they may be parsed, else the reason; the error is permanent.
  const char *feed(std::string_view bytes);

  /// The number of bytes received of an incomplete reply.
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
