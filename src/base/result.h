#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace await {

/// Why an operation failed. The list is closed: one table (http/exchange/respond.cc) maps it to HTTP.
/// `exhausted`: a limit of the database was reached by this request only; it may succeed later.
enum class Code {
  unavailable,
  timeout,
  conflict,
  not_found,
  invalid,
  forbidden,
  too_large,
  exhausted,
  internal
};

std::string_view code_name(Code code);

/// `detail` says what happened and where, for the operator's log. An error of PostgreSQL begins with
/// "PostgreSQL" and the SQLSTATE. It may contain data of others, and must not be sent to clients.
struct Error {
  Code code;
  std::string detail;
};

/// A value, or the Error that occurred instead. Accessing the one that is absent is a bug (asserted).
template <class T>
class Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T &operator*() & { return *value(); }
  const T &operator*() const & { return *const_cast<Result *>(this)->value(); }
  T &&operator*() && { return std::move(*value()); }
  T *operator->() { return value(); }
  const T *operator->() const { return const_cast<Result *>(this)->value(); }
  const Error &error() const {
    assert(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

 private:
  T *value() {
    assert(state_.index() == 0);
    return std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

/// The value type of a Result without a value.
struct Done {};

}  // namespace await
