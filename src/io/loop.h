#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/list.h"

namespace await::io {

/// Run once, at the end of the event-loop round in which it was posted. Destroying it takes it back.
class Task : public Hook<> {
 public:
  virtual void run() noexcept = 0;

 protected:
  ~Task() = default;
};

/// A file descriptor that somebody else opened and will close. Level-triggered: what is not read is
/// told again. Destroy it before the descriptor is closed.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Which readiness to tell; both off: none.
  virtual void want(bool readable, bool writable) = 0;
  /// Somebody has closed the descriptor already; the kernel has forgotten it.
  virtual void closed() = 0;
};

/// Fires once after each set().
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void set(std::int64_t ms) = 0;
  virtual void clear() = 0;
  virtual bool pending() const = 0;
};

/// The event loop, as nginx has it and as the executables have it. Callbacks may destroy the object
/// they belong to. Nothing here blocks.
class Loop {
 public:
  /// Whether a pending timer keeps a process alive that wants to quit.
  enum class Quit { may, must_not };

  virtual ~Loop() = default;
  virtual void post(Task &task) = 0;
  /// Null where no slot for another descriptor is free.
  virtual std::unique_ptr<Watch> watch(int fd, std::function<void()> ready) = 0;
  virtual std::unique_ptr<Timer> timer(std::function<void()> fire, Quit quit) = 0;
  virtual std::int64_t monotonic_ms() const = 0;
  virtual std::int64_t unix_ms() const = 0;
};

}  // namespace await::io
