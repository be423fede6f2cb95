#include "redis/reply_guard.h"

#include <algorithm>

namespace await::redis {
namespace {
constexpr std::uint8_t kMaxDigits = 18;  // what fits a 64-bit integer
constexpr char kNoReply[] = "invalid reply";
constexpr char kTooLarge[] = "reply too large";
}  // namespace

const char *ReplyGuard::feed(std::string_view bytes) {
  while (error_ == nullptr && !bytes.empty()) {
    std::size_t n = 1;
    if (at_ == At::bulk) {
      n = std::min(static_cast<std::size_t>(value_), bytes.size());
      size_ += n;
      value_ -= static_cast<std::int64_t>(n);
      if (value_ == 0)
        at_ = At::bulk_cr;
    } else {
      ++size_;
      step(bytes[0]);
    }
    bytes.remove_prefix(n);
    if (size_ > kMaxReply)
      fail(kTooLarge);
  }
  return error_;
}

void ReplyGuard::step(char c) {
  switch (at_) {
    case At::type:
      return type(c);
    case At::line:
      return line(c);
    case At::number:
      return number(c);
    case At::number_end:
      return c == '\n' ? head() : fail(kNoReply);
    case At::bulk:
      return;  // taken as a whole
    case At::bulk_cr:
      at_ = At::bulk_lf;
      return c == '\r' ? void() : fail(kNoReply);
    case At::bulk_lf:
      return c == '\n' ? done() : fail(kNoReply);
  }
}

void ReplyGuard::type(char c) {
  type_ = c;
  value_ = 0;
  digits_ = 0;
  line_ = 0;
  negative_ = false;
  if (c == '+' || c == '-')
    at_ = At::line;
  else if (c == ':' || c == '$' || (c == '*' && elements_ == 0))
    at_ = At::number;
  else
    fail(c == '*' ? "nested array in a reply" : kNoReply);
}

void ReplyGuard::line(char c) {
  bool ending = cr_;
  cr_ = c == '\r';
  if (ending ? c != '\n' : c == '\n')
    return fail(kNoReply);
  if (ending)
    return done();
  if (++line_ > kMaxLine)
    fail("line too long in a reply");
}

/// hiredis also rejects "00" and "-0".
bool ReplyGuard::leading_zero(char c) const { return digits_ > 0 ? value_ == 0 : negative_ && c == '0'; }

void ReplyGuard::number(char c) {
  if (c == '-' && digits_ == 0 && !negative_) {
    negative_ = true;
  } else if (c == '\r' && digits_ > 0) {
    at_ = At::number_end;
  } else if (c >= '0' && c <= '9' && digits_ < kMaxDigits && !leading_zero(c)) {
    ++digits_;
    value_ = value_ * 10 + (c - '0');
  } else {
    fail(kNoReply);
  }
}

/// A number is complete, and with it the header of a string or an array.
void ReplyGuard::head() {
  if (type_ == ':' || (negative_ && value_ == 1))
    return done();  // "$-1" and "*-1" are null
  if (negative_)
    return fail(kNoReply);
  if (type_ == '$') {
    at_ = value_ > 0 ? At::bulk : At::bulk_cr;
    return value_ > kMaxBulk ? fail(kTooLarge) : void();
  }
  if (value_ > kMaxElements)
    return fail("array too large in a reply");
  if (value_ == 0)
    return done();
  elements_ = value_;
  at_ = At::type;
}

void ReplyGuard::done() {
  at_ = At::type;
  if (elements_ > 0)
    --elements_;
  if (elements_ == 0)
    size_ = 0;
}

}  // namespace await::redis
