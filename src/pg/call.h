#pragma once

#include <memory>

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// A statement whose rows are decoded into T and delivered to a core::Reply. If the owner of the reply has
/// been destroyed in the meantime, the result is discarded.
template <class T>
class Call : public Statement {
 public:
  using Decode = Result<T> (*)(const Rows &rows, std::size_t asked);

  /// @param asked  number of requested items, passed to `decode`
  Call(const char *sql, Params params, core::Reply<T> &reply, Decode decode, std::size_t asked = 1)
      : Statement(sql, std::move(params)), decode_(decode), asked_(asked) {
    waiting_.push_back(reply);
  }

  void finish(Result<Rows> outcome) override {
    core::Reply<T> *reply = waiting_.pop_front();
    if (reply == nullptr)
      return;
    if (outcome)
      reply->deliver(decode_(*outcome, asked_));
    else
      reply->deliver(outcome.error());
  }

 private:
  List<core::Reply<T>> waiting_;  // one reply; none after its owner was destroyed
  Decode decode_;
  std::size_t asked_;
};

/// A statement whose result is ignored, and that no client waits for. The connection logs unexpected errors.
class Send : public Statement {
 public:
  Send(const char *sql, Params params) : Statement(sql, std::move(params)) { background = true; }
  void finish(Result<Rows>) override {}
};

}  // namespace await::pg
