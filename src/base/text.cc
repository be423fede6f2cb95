#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/eight_bytes.h"

namespace await {
namespace {

char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// The length of the well-formed UTF-8 sequence at the start of `s`, 0 if there is none.
std::size_t utf8_length(std::string_view s) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return 1;
  std::size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                       : lead >= 0xe0 && lead <= 0xef ? 3
                       : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                      : 0;
  if (length == 0 || s.size() < length)
    return 0;
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high)
    return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  }
  return length;
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower_char(x) == lower_char(y); });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower_char);
  return out;
}

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view cut(std::string_view &text, char separator) {
  auto at = text.find(separator);
  auto head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t max) {
  std::int64_t value = 0;
  if (text.empty() || text[0] == '-')
    return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max)
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_clipped(std::string_view text, std::int64_t max) {
  bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  return digits ? parse_number(text, max).value_or(max) : std::optional<std::int64_t>();
}

bool is_text(std::string_view bytes) {
  auto is_plain = [](EightBytes eight) { return eight.are_ascii() && !eight.have_below(1); };
  while (!bytes.empty()) {
    bytes.remove_prefix(length_while(bytes, is_plain));  // mostly nearly all of it
    for (std::size_t n = 0; n < EightBytes::kSize && !bytes.empty(); ++n) {
      std::size_t length = bytes[0] == '\0' ? 0 : utf8_length(bytes);
      if (length == 0)
        return false;
      bytes.remove_prefix(length);
    }
  }
  return true;
}

std::string repair_text(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    std::size_t length = bytes[0] == '\0' ? 0 : utf8_length(bytes);
    out += length == 0 ? std::string_view("\xef\xbf\xbd") : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string_view text_tail(std::string_view bytes, std::size_t size) {
  if (bytes.size() <= size)
    return bytes;
  std::string_view tail = bytes.substr(bytes.size() - size);
  for (int i = 0; i < 3 && !tail.empty() && (static_cast<unsigned char>(tail[0]) & 0xc0) == 0x80; ++i)
    tail.remove_prefix(1);
  return tail;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower_char(c) >= 'a' && lower_char(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string format_time(std::int64_t unix_ms) {
  // four digits are all that the format has for a year; a row that somebody has edited may have "infinity"
  constexpr std::int64_t kFirstMs = -62'167'219'200'000;  // of the year 0
  constexpr std::int64_t kLastMs = 253'402'300'799'999;   // of the year 9999
  unix_ms = std::clamp(unix_ms, kFirstMs, kLastMs) - kFirstMs;
  std::int64_t ms = unix_ms % 1000;
  std::time_t seconds = (unix_ms + kFirstMs - ms) / 1000;
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  std::string out = "0000-00-00T00:00:00.000Z";
  auto put = [&](std::size_t end, int value) {  // its last digit stands before `end`
    for (; value > 0; value /= 10)
      out[--end] = static_cast<char>('0' + value % 10);
  };
  put(4, tm.tm_year + 1900);
  put(7, tm.tm_mon + 1);
  put(10, tm.tm_mday);
  put(13, tm.tm_hour);
  put(16, tm.tm_min);
  put(19, tm.tm_sec);
  put(23, static_cast<int>(ms));
  return out;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z";
  auto number = [text](std::size_t at, std::size_t digits) {
    return static_cast<int>(parse_number(text.substr(at, digits)).value_or(-1));
  };
  if (text.size() != kForm.size())
    return std::nullopt;
  std::tm time{};
  time.tm_year = number(0, 4) - 1900;
  time.tm_mon = number(5, 2) - 1;
  time.tm_mday = number(8, 2);
  time.tm_hour = number(11, 2);
  time.tm_min = number(14, 2);
  time.tm_sec = number(17, 2);
  std::int64_t ms = std::int64_t{timegm(&time)} * 1000 + number(20, 3);
  return format_time(ms) == text ? std::optional(ms) : std::nullopt;  // rejects all other errors
}

std::optional<std::int64_t> parse_utc(std::string_view text) {
  constexpr std::string_view kSeconds = "0000-00-00T00:00:00";
  constexpr std::size_t kMostPlaces = 9;
  if (text.size() <= kSeconds.size() || !text.ends_with('Z'))
    return std::nullopt;
  auto ms = parse_timestamp(std::string(text.substr(0, kSeconds.size())) + ".000Z");
  std::string fraction(text.substr(kSeconds.size(), text.size() - kSeconds.size() - 1));
  if (!ms || fraction.empty())
    return ms ? std::optional(*ms * 1000) : std::nullopt;
  if (fraction[0] != '.' || fraction.size() < 2 || fraction.size() > 1 + kMostPlaces ||
      !parse_number(std::string_view(fraction).substr(1)))
    return std::nullopt;
  fraction.resize(7, '0');
  return *ms * 1000 + *parse_number(std::string_view(fraction).substr(1));
}

std::string base64url(std::string_view bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (held += 8; held >= 6; held -= 6)
      out += kBase64[bits >> (held - 6) & 63];
  }
  if (held > 0)
    out += kBase64[bits << (6 - held) & 63];
  return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    auto value = kBase64.find(c);
    if (value == std::string_view::npos)
      return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xff);
    }
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace await
