#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace await::wire {

/// Validates JSON (RFC 8259) in a stream, with a few bytes of memory: an upload of any size is validated
/// without being stored. Strict: UTF-8, one value, at most 512 levels of nesting.
///
/// Data that becomes jsonb has a further limit, because PostgreSQL writes numbers out: "1e130000" is 130,001
/// digits each time it is read. With `Numbers::bounded`, a number that has more than 400 digits when written
/// without an exponent is rejected. The largest double has 309 digits; the smallest, with 17 significant
/// digits, has 341. Data that is stored as bytes can have any numbers.
class JsonCheck {
 public:
  static constexpr std::size_t kMaxDepth = 512;
  static constexpr std::uint32_t kMaxDigits = 400;  ///< on both sides of the point, with leading zeros

  enum class Numbers : std::uint8_t { any, bounded };
  explicit JsonCheck(Numbers numbers = Numbers::any, std::size_t max_depth = kMaxDepth)
      : numbers_(numbers), max_depth_(max_depth) {}

  /// Checks the next bytes. Returns false if this is not JSON; error() has the reason.
  bool feed(std::string_view bytes);
  /// Ends the input. Returns false if it is incomplete or empty.
  bool finish();
  /// Checks the next bytes up to the end of the value, which must be an object, an array or a string. Returns
  /// how many belong to it; ended() and error() say why these were not all.
  std::size_t take(std::string_view bytes);
  /// Whether the value is complete.
  bool ended() const { return at_ == At::end; }

  const char *error() const { return error_; }
  /// The position where feed() stopped, in bytes from the start.
  std::uint64_t offset() const { return offset_; }
  /// The size in bytes of what PostgreSQL writes for it as jsonb. It can be too high if a name occurs twice
  /// or a zero has an exponent.
  std::uint64_t written() const { return written_; }

 private:
  enum class At : std::uint8_t {
    value,
    first_element,
    first_key,
    key,
    colon,
    after,
    string,
    escape,
    hex,
    utf8,
    minus,
    zero,
    integer,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    literal,
    end
  };
  void skip_plain(std::string_view &bytes);
  bool step(unsigned char c);
  bool value(unsigned char c);
  bool string(unsigned char c);
  bool escape(unsigned char c);
  bool hex(unsigned char c);
  bool utf8(unsigned char c);
  bool number(unsigned char c);
  bool end_number();
  void count_digit(unsigned char c);
  bool after(unsigned char c);
  bool open(char bracket, At next);
  bool close(char bracket);
  bool done();
  void begin_number(At at, unsigned digits);
  bool fail(const char *why);

  Numbers numbers_;
  std::size_t max_depth_;
  At at_ = At::value;
  bool in_key_ = false;
  std::vector<char> open_;  // '{' or '[' of each level
  const char *literal_ = nullptr;
  unsigned left_ = 0;         // of an escape's hex digits, or of a UTF-8 sequence
  unsigned char low_ = 0x80;  // bounds of the next UTF-8 byte
  unsigned char high_ = 0xbf;
  unsigned code_ = 0;         // of a \u escape
  bool surrogate_ = false;    // a high surrogate waits for its low half
  bool negative_ = false;     // of a number
  bool shrinks_ = false;      // its exponent is negative
  std::uint32_t before_ = 0;  // digits before the point
  std::uint32_t behind_ = 0;  // and behind
  std::uint32_t exponent_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t offset_ = 0;
  const char *error_ = nullptr;
};

/// Whether `text` is one JSON value.
bool is_json(std::string_view text);

/// `json`, which must be valid, without white space between tokens: one line, as needed for a data field of
/// SSE.
std::string minify(std::string_view json);

}  // namespace await::wire
