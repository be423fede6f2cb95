#pragma once

#include "base/list.h"
#include "base/result.h"
#include "core/ports.h"

namespace await::http {

/// Waits for PostgreSQL to report its keys and its timeline. Destroying it cancels the wait.
struct GreetingWaiter : Hook<GreetingWaiter> {
  explicit GreetingWaiter(core::Callback<Done> on_greeting) : on_greeting(on_greeting) {}
  /// PostgreSQL has answered, or is unavailable: then the keys are empty, or not fresh. May destroy the
  /// waiter and any other.
  core::Callback<Done> on_greeting;
};

using GreetingWaiters = List<GreetingWaiter, GreetingWaiter>;

/// Calls all of them, once.
inline void call_all(GreetingWaiters &waiters) {
  GreetingWaiters all;  // a call may destroy others, and add new ones
  all.take_all(waiters);
  while (GreetingWaiter *waiter = all.pop_front())
    waiter->on_greeting(Done());
}

}  // namespace await::http
