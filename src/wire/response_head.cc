#include "wire/response_head.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::int64_t kDay = 24 * 3600;

/// Days since 1970 of a date of the Gregorian calendar.
std::int64_t days_since_epoch(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;  // years that begin in March end with the leap day
  std::int64_t era = year / 400;
  std::int64_t of_era = year - era * 400;
  std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

int days_of_month(std::int64_t year, int month) {
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

struct Date {
  std::int64_t year = 0;
  int month = 0;
  int day = 0;
  std::int64_t second = 0;  ///< of the day
};

std::optional<int> month_of(std::string_view name) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  auto at = name.size() == 3 ? kMonths.find(name) : kMonths.npos;
  return at != kMonths.npos && at % 3 == 0 ? std::optional<int>(static_cast<int>(at / 3) + 1) : std::nullopt;
}

/// A number of exactly so many digits.
std::optional<int> digits(std::string_view text, std::size_t n) {
  auto number = text.size() == n ? parse_number(text) : std::nullopt;
  return number ? std::optional<int>(static_cast<int>(*number)) : std::nullopt;
}

/// "08:49:37"
std::optional<std::int64_t> second_of_day(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':')
    return std::nullopt;
  auto hour = digits(text.substr(0, 2), 2);
  auto minute = digits(text.substr(3, 2), 2);
  auto second = digits(text.substr(6, 2), 2);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  return *hour * std::int64_t{3600} + *minute * 60 + *second;
}

std::optional<Date> make_date(std::optional<int> year, std::optional<int> month, std::optional<int> day,
                              std::optional<std::int64_t> second) {
  if (!year || !month || !day || !second || *day < 1 || *day > days_of_month(*year, *month))
    return std::nullopt;
  return Date{*year, *month, *day, *second};
}

/// "Sun Nov  6 08:49:37 1994"
std::optional<Date> parse_asctime(std::string_view text) {
  if (text.size() != 24 || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' || text[19] != ' ')
    return std::nullopt;
  std::string_view day = text.substr(8, 2);
  auto number = day[0] == ' ' ? digits(day.substr(1), 1) : digits(day, 2);
  return make_date(digits(text.substr(20), 4), month_of(text.substr(4, 3)), number,
                   second_of_day(text.substr(11, 8)));
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<Date> parse_fixed(std::string_view text) {
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
      text[16] != ' ' || text.substr(25) != " GMT")
    return std::nullopt;
  return make_date(digits(text.substr(12, 4), 4), month_of(text.substr(8, 3)), digits(text.substr(5, 2), 2),
                   second_of_day(text.substr(17, 8)));
}

/// "Sunday, 06-Nov-94 08:49:37 GMT"
std::optional<Date> parse_rfc850(std::string_view text, std::int64_t unix_s) {
  std::string_view name = cut(text, ',');
  if (name.size() < 6 || text.size() != 23 || text[0] != ' ' || text[3] != '-' || text[7] != '-' ||
      text[10] != ' ' || text.substr(19) != " GMT")
    return std::nullopt;
  auto year = digits(text.substr(8, 2), 2);
  if (year) {
    auto now = static_cast<int>(1970 + unix_s / (kDay * 365 + kDay / 4));
    *year += now / 100 * 100;
    if (*year > now + 50)
      *year -= 100;
    else if (*year <= now - 50)
      *year += 100;
  }
  return make_date(year, month_of(text.substr(4, 3)), digits(text.substr(1, 2), 2),
                   second_of_day(text.substr(11, 8)));
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t unix_s) {
  auto date = parse_fixed(text);
  if (!date)
    date = parse_rfc850(text, unix_s);
  if (!date)
    date = parse_asctime(text);
  if (!date)
    return std::nullopt;
  return days_since_epoch(date->year, date->month, date->day) * kDay + date->second;
}

std::optional<std::int64_t> retry_after_ms(std::string_view value, std::int64_t unix_ms,
                                           std::int64_t most_ms) {
  std::string_view text = trim(value);
  if (auto seconds = parse_clipped(text, most_ms / 1000))
    return *seconds * 1000;
  auto at = parse_http_date(text, unix_ms / 1000);
  if (!at)
    return std::nullopt;
  return std::clamp<std::int64_t>(*at * 1000 - unix_ms, 0, most_ms);
}

ResponseHead::Step ResponseHead::refuse(const char *why) {
  why_ = why;
  return Step::garbage;
}

ResponseHead::Step ResponseHead::take_status(std::string_view line) {
  if (!line.starts_with("HTTP/"))
    return refuse("the answer does not begin with a status line");
  cut(line, ' ');
  status_ = static_cast<int>(parse_number(line.substr(0, 3)).value_or(0));
  bool ends = line.size() == 3 || (line.size() > 3 && line[3] == ' ');
  if (status_ < 100 || status_ > 599 || !ends)
    return refuse("the status line has no status of HTTP");
  return Step::more;
}

/// Who takes another one than we do finds another end of the body, RFC 9112 §6.3.
bool ResponseHead::has_one_length() const {
  const std::string *length = nullptr;
  for (const auto &[name, value] : headers_) {
    if (!iequals(name, "Content-Length"))
      continue;
    if (!parse_number(value) || (length != nullptr && *length != value))
      return false;
    length = &value;
  }
  return true;
}

const std::string *ResponseHead::find(std::string_view name) const {
  auto at = std::find_if(headers_.begin(), headers_.end(),
                         [&](const auto &header) { return iequals(header.first, name); });
  return at != headers_.end() ? &at->second : nullptr;
}

/// Without TE in the request there is only this one, RFC 9112 §7.4. "identity" is of RFC 2616.
bool ResponseHead::has_known_coding() const {
  int count = 0;
  for (const auto &[name, value] : headers_) {
    if (iequals(name, "Transfer-Encoding") &&
        (++count > 1 || !(iequals(value, "chunked") || iequals(value, "identity"))))
      return false;
  }
  return true;
}

std::optional<std::int64_t> ResponseHead::body_size() const {
  if (status_ == 204 || status_ == 304)
    return 0;
  const std::string *length = find("Content-Length");
  return length != nullptr && find("Transfer-Encoding") == nullptr ? parse_number(*length) : std::nullopt;
}

ResponseHead::Step ResponseHead::end_of_head() {
  if (status_ == 101)
    return refuse("the answer switches to another protocol");
  if (status_ >= 200 && !has_known_coding())
    return refuse("the answer has a Transfer-Encoding that was not asked for");
  if (status_ >= 200)
    return has_one_length() ? Step::complete : refuse("the answer has no valid Content-Length, or several");
  status_ = 0;  // interim
  headers_.clear();
  return Step::more;
}

ResponseHead::Step ResponseHead::feed(std::string_view line) {
  if (line.ends_with('\n'))
    line.remove_suffix(1);
  while (line.ends_with('\r'))
    line.remove_suffix(1);
  if (line.find_first_of(std::string_view("\0\r\n", 3)) != line.npos)
    return refuse("the head of the answer has a control character");
  if (status_ == 0)
    return take_status(line);
  if (line.empty())
    return end_of_head();
  if ((line[0] == ' ' || line[0] == '\t') && !headers_.empty()) {  // RFC 9112 §5.2
    std::string &value = headers_.back().second;
    std::string_view more = trim(line);
    value.append(value.empty() || more.empty() ? "" : " ").append(more);
    return Step::more;
  }
  bool has_colon = line.find(':') != line.npos;
  std::string_view name = cut(line, ':');
  if (!has_colon || !is_token(name))
    return refuse("a header of the answer has no name");
  headers_.emplace_back(name, trim(line));
  return Step::more;
}

}  // namespace await::wire
