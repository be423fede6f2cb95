#include "wire/json_check.h"

#include <algorithm>
#include <utility>

#include "base/eight_bytes.h"

namespace await::wire {
namespace {

bool is_space(unsigned char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

/// The number of bytes that PostgreSQL writes for an escaped character; for the second half of a surrogate
/// pair, those of the pair.
unsigned written_as(unsigned code) {
  if (code < 0x20)
    return code >= 8 && code <= 13 && code != 11 ? 2 : 6;
  if (code == '"' || code == '\\')
    return 2;
  if (code >= 0xdc00 && code <= 0xdfff)
    return 4;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
}

}  // namespace

bool JsonCheck::feed(std::string_view bytes) {
  if (error_ != nullptr)
    return false;
  while (!bytes.empty()) {
    if (at_ == At::string && !surrogate_)
      skip_plain(bytes);
    for (unsigned char c : bytes.substr(0, EightBytes::kSize)) {
      if (!step(c))
        return false;
      ++offset_;
    }
    bytes.remove_prefix(std::min(bytes.size(), EightBytes::kSize));
  }
  return true;
}

/// Skips what string() only counts: most of most strings.
void JsonCheck::skip_plain(std::string_view &bytes) {
  std::size_t length = length_while(bytes, [](EightBytes eight) {
    return eight.are_ascii() && !eight.have_below(0x20) && !eight.have('"') && !eight.have('\\');
  });
  offset_ += length;
  written_ += length;
  bytes.remove_prefix(length);
}

bool JsonCheck::finish() {
  if (error_ != nullptr)
    return false;
  bool in_number = at_ == At::zero || at_ == At::integer || at_ == At::fraction || at_ == At::exponent_digits;
  if (in_number && !end_number())  // a number ends with the text
    return false;
  return at_ == At::end || fail(offset_ == 0 ? "no data" : "unexpected end of data");
}

std::size_t JsonCheck::take(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && error_ == nullptr && !ended() &&
         step(static_cast<unsigned char>(bytes[taken])))
    ++taken;
  offset_ += taken;
  return taken;
}

bool JsonCheck::step(unsigned char c) {
  switch (at_) {
    case At::string:
      return string(c);
    case At::escape:
      return escape(c);
    case At::hex:
      return hex(c);
    case At::utf8:
      return utf8(c);
    case At::literal:
      if (literal_ == nullptr || c != static_cast<unsigned char>(*literal_))
        return fail("unknown literal");
      return *++literal_ != '\0' || done();
    case At::minus:
    case At::zero:
    case At::integer:
    case At::point:
    case At::fraction:
    case At::exponent:
    case At::exponent_sign:
    case At::exponent_digits:
      return number(c);
    default:
      break;
  }
  if (is_space(c))
    return true;
  switch (at_) {
    case At::first_element:
      return c == ']' ? close('[') : value(c);
    case At::value:
      return value(c);
    case At::first_key:
      if (c == '}')
        return close('{');
      [[fallthrough]];
    case At::key:
      if (c != '"')
        return fail("a member name is missing");
      in_key_ = true;
      at_ = At::string;
      written_ += 2;
      return true;
    case At::colon:
      at_ = At::value;
      written_ += 2;
      return c == ':' || fail("a colon is missing");
    case At::after:
      return after(c);
    default:
      return fail("unexpected data after the end");
  }
}

bool JsonCheck::value(unsigned char c) {
  switch (c) {
    case '{':
      return open('{', At::first_key);
    case '[':
      return open('[', At::first_element);
    case '"':
      at_ = At::string;
      written_ += 2;
      return true;
    case '-':
      begin_number(At::minus, 0);
      return true;
    case '0':
      begin_number(At::zero, 1);
      return true;
    case 't':
      literal_ = "rue";
      break;
    case 'f':
      literal_ = "alse";
      break;
    case 'n':
      literal_ = "ull";
      break;
    default:
      begin_number(At::integer, 1);
      return is_digit(c) || fail("unexpected character where a value should be");
  }
  at_ = At::literal;
  written_ += c == 'f' ? 5 : 4;
  return true;
}

bool JsonCheck::open(char bracket, At next) {
  if (open_.size() == max_depth_)
    return fail("nested too deeply");
  open_.push_back(bracket);
  at_ = next;
  ++written_;
  return true;
}

bool JsonCheck::close(char bracket) {
  if (open_.empty() || open_.back() != bracket)
    return fail("mismatched brackets");
  open_.pop_back();
  ++written_;
  return done();
}

bool JsonCheck::done() {
  at_ = open_.empty() ? At::end : At::after;
  return true;
}

bool JsonCheck::after(unsigned char c) {
  if (c == ',') {
    written_ += 2;
    at_ = open_.back() == '{' ? At::key : At::value;
    return true;
  }
  if (c == '}')
    return close('{');
  return c == ']' ? close('[') : fail("a comma is missing");
}

bool JsonCheck::string(unsigned char c) {
  if (surrogate_ && c != '\\')
    return fail("unpaired surrogate");
  if (c == '"') {
    if (in_key_) {
      in_key_ = false;
      at_ = At::colon;
      return true;
    }
    return done();
  }
  if (c == '\\') {
    at_ = At::escape;
    return true;
  }
  if (c < 0x20)
    return fail("control character in a string");
  ++written_;
  if (c < 0x80)
    return true;
  left_ = c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
  low_ = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  high_ = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  at_ = At::utf8;
  return left_ > 0 || fail("invalid UTF-8");
}

bool JsonCheck::utf8(unsigned char c) {
  if (c < low_ || c > high_)
    return fail("invalid UTF-8");
  ++written_;
  low_ = 0x80;
  high_ = 0xbf;
  if (--left_ == 0)
    at_ = At::string;
  return true;
}

bool JsonCheck::escape(unsigned char c) {
  if (c == 'u') {
    at_ = At::hex;
    left_ = 4;
    code_ = 0;
    return true;
  }
  if (surrogate_)
    return fail("unpaired surrogate");
  at_ = At::string;
  written_ += c == '/' ? 1 : 2;
  return std::string_view("\"\\/bfnrt").find(static_cast<char>(c)) != std::string_view::npos ||
         fail("invalid escape sequence");
}

bool JsonCheck::hex(unsigned char c) {
  unsigned char low = c | 0x20;
  if (!is_digit(c) && !(low >= 'a' && low <= 'f'))
    return fail("invalid escape sequence");
  code_ = code_ << 4 | (is_digit(c) ? c - '0' : low - 'a' + 10U);
  if (--left_ > 0)
    return true;
  at_ = At::string;
  bool low_half = code_ >= 0xdc00 && code_ <= 0xdfff;
  if (low_half != surrogate_)
    return fail("unpaired surrogate");
  surrogate_ = code_ >= 0xd800 && code_ <= 0xdbff;
  written_ += surrogate_ ? 0 : written_as(code_);
  return true;
}

void JsonCheck::begin_number(At at, unsigned digits) {
  at_ = at;
  negative_ = at == At::minus;
  shrinks_ = false;
  before_ = digits;
  behind_ = 0;
  exponent_ = 0;
}

bool JsonCheck::number(unsigned char c) {
  bool digit = is_digit(c);
  switch (at_) {
    case At::minus:
      at_ = c == '0' ? At::zero : At::integer;
      count_digit(c);
      return digit || fail("invalid number");
    case At::point:
      at_ = At::fraction;
      count_digit(c);
      return digit || fail("invalid number");
    case At::exponent:
      at_ = digit ? At::exponent_digits : At::exponent_sign;
      shrinks_ = c == '-';
      count_digit(c);
      return digit || c == '+' || c == '-' || fail("invalid number");
    case At::exponent_sign:
      at_ = At::exponent_digits;
      count_digit(c);
      return digit || fail("invalid number");
    default:
      break;
  }
  if (digit) {
    count_digit(c);
    return at_ != At::zero || fail("number with a leading zero");
  }
  if (c == '.' && (at_ == At::zero || at_ == At::integer)) {
    at_ = At::point;
    return true;
  }
  if ((c | 0x20) == 'e' && at_ != At::exponent_digits) {
    at_ = At::exponent;
    return true;
  }
  return end_number() && step(c);  // it ended one byte ago
}

/// Counts a digit, up to a limit that is high enough for all comparisons, so that sums do not overflow.
void JsonCheck::count_digit(unsigned char c) {
  constexpr std::uint32_t kMany = 1U << 28;
  if (at_ == At::zero || at_ == At::integer)
    before_ = std::min(before_ + 1, kMany);
  else if (at_ == At::fraction)
    behind_ = std::min(behind_ + 1, kMany);
  else if (at_ == At::exponent_digits && exponent_ < kMany / 10)
    exponent_ = exponent_ * 10 + (c - '0');
}

/// Applies the exponent to the number of digits, as numeric_out does.
bool JsonCheck::end_number() {
  auto [grows, falls] = shrinks_ ? std::pair(0U, exponent_) : std::pair(exponent_, 0U);
  std::uint32_t before = before_ + grows > falls ? before_ + grows - falls : 1;
  std::uint32_t behind = behind_ + falls > grows ? behind_ + falls - grows : 0;
  written_ += before + behind + (behind > 0 ? 1 : 0) + (negative_ ? 1 : 0);
  if (numbers_ == Numbers::bounded && before + behind > kMaxDigits)
    return fail("number of more than 400 digits when written out");
  return done();
}

bool JsonCheck::fail(const char *why) {
  error_ = why;
  return false;
}

bool is_json(std::string_view text) {
  JsonCheck check;
  return check.feed(text) && check.finish();
}

std::string minify(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  bool escaped = false;
  for (char c : json) {
    if (!in_string && is_space(static_cast<unsigned char>(c)))
      continue;
    out += c;
    if (escaped)
      escaped = false;
    else if (in_string && c == '\\')
      escaped = true;
    else if (c == '"')
      in_string = !in_string;
  }
  return out;
}

}  // namespace await::wire
