#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/list.h"

namespace await::io {

/// A task that runs once, at the end of the event loop iteration in which it was posted. Destroying the task
/// cancels it.
class Task : public Hook<> {
 public:
  virtual void run() noexcept = 0;

 protected:
  ~Task() = default;
};

/// Notifications for a file descriptor that is owned by the caller. Level-triggered: data that is not read is
/// reported again. Destroy the object before the descriptor is closed.
class FdWatcher {
 public:
  virtual ~FdWatcher() = default;
  /// Sets which events are reported.
  virtual void want(bool readable, bool writable) = 0;
  /// The descriptor has already been closed, by a library, and must not be unregistered.
  virtual void closed() = 0;
};

/// A timer that fires once after each set().
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void set(std::int64_t ms) = 0;
  virtual void clear() = 0;
  virtual bool pending() const = 0;
};

/// The event loop: that of nginx, or that of the executables. Callbacks may destroy the object that they
/// belong to. No call blocks.
class Loop {
 public:
  /// Whether the process may quit while a timer is pending, or has to wait for it.
  enum class Quit { may, must_not };

  virtual ~Loop() = default;
  virtual void post(Task &task) = 0;
  /// Returns null if there is no free slot for another descriptor (worker_connections).
  virtual std::unique_ptr<FdWatcher> watch(int fd, std::function<void()> ready) = 0;
  virtual std::unique_ptr<Timer> timer(std::function<void()> fire, Quit quit) = 0;
  virtual std::int64_t monotonic_ms() const = 0;
  virtual std::int64_t unix_ms() const = 0;
};

}  // namespace await::io
