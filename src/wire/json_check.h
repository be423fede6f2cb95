#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace await::wire {

/// Checks JSON (RFC 8259) as it streams by, in a few bytes of memory: an upload of any size is checked
/// without being held. Strict: UTF-8, one value, no more than 512 levels deep.
///
/// What becomes jsonb needs more: PostgreSQL writes numbers out, and "1e130000" is 130,001 digits each time
/// it is read. There a number of more than 400 digits, as it stands without its exponent, is refused; a
/// double's largest has 309, its smallest, told by 17 digits, 341. What is only kept as bytes may
/// have any.
class JsonCheck {
 public:
  static constexpr std::size_t kMaxDepth = 512;
  static constexpr std::uint32_t kMaxDigits = 400;  ///< before and behind the point, leading zeros too

  enum class Numbers : std::uint8_t { any, bounded };
  explicit JsonCheck(Numbers numbers = Numbers::any) : numbers_(numbers) {}

  /// Takes the next bytes. False: this is not JSON; error() says why.
  bool feed(std::string_view bytes);
  /// The text is over. False: it was cut short, or empty.
  bool finish();

  const char *error() const { return error_; }
  /// Where feed() stopped, in bytes from the start.
  std::uint64_t offset() const { return offset_; }
  /// How long the text is that PostgreSQL writes for it as jsonb, in bytes; or more, where a name comes twice
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

/// `json`, which is valid, without white space between tokens: one line, fit for an SSE data field.
std::string minify(std::string_view json);

}  // namespace await::wire
