#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace await {

/// Why something did not work. The list is closed: one table (http/respond.cc) turns it into HTTP.
/// `exhausted`: a limit of the database's is reached, for what was asked alone; later there may be room.
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

/// `detail` says what happened and where, in a sentence for an operator's log. What PostgreSQL says begins
/// with "PostgreSQL" and its SQLSTATE, and may hold what others have stored: never for clients.
struct Error {
  Code code;
  std::string detail;
};

/// A value or the Error that came instead. Asking for the one that is not there is a bug.
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

/// The value of a Result that carries none.
struct Done {};

}  // namespace await
