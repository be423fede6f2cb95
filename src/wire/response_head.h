#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace await::wire {

/// Reads the head of an HTTP answer, line by line, past the heads of interim answers (1xx).
/// Source: RFC 9112 §4, §5.
class ResponseHead {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  enum class Step : std::uint8_t {
    more,
    complete,  ///< the head of the final answer is there
    garbage,   ///< see why(); nothing more is to be fed
  };

  /// @param line  with its end of line, or without it
  Step feed(std::string_view line);
  int status() const { return status_; }
  /// In their order; values are trimmed, and folded lines put together.
  Headers &headers() { return headers_; }
  /// Of the final answer, if its head says it: by its status, or by Content-Length.
  std::optional<std::int64_t> body_size() const;
  const char *why() const { return why_; }

 private:
  Step refuse(const char *why);
  Step take_status(std::string_view line);
  Step end_of_head();
  bool has_one_length() const;
  const std::string *find(std::string_view name) const;
  bool has_known_coding() const;

  int status_ = 0;  // 0: before a status line
  Headers headers_;
  const char *why_ = "";
};

/// The pause that the value of a Retry-After asks for (RFC 9110 §10.2.3): seconds, or a date. Empty if it is
/// malformed; at most `most_ms`, and not negative.
std::optional<std::int64_t> retry_after_ms(std::string_view value, std::int64_t unix_ms,
                                           std::int64_t most_ms);

/// Unix seconds of a date in one of the three formats of HTTP (RFC 9110 §5.6.7), case-sensitive, the name of
/// the day unchecked. Empty if it is none of them.
/// @param unix_s  now: the two digits of the year of an RFC 850 date are at most 50 years ahead
std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t unix_s);

}  // namespace await::wire
