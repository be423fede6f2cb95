#pragma once

#include "base/list.h"

namespace await::http {

/// Something to be written at the end of an iteration of the event loop, together with everything else that
/// the iteration has brought for it.
struct Flush : Hook<Flush> {
  /// May destroy this and others, and request new flushes.
  virtual void flush() noexcept = 0;

 protected:
  ~Flush() = default;
};

}  // namespace await::http
