#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/ports.h"

namespace await::relay {

/// The answer of who asks to lead.
struct Lease {
  std::optional<std::int64_t> token;  ///< it leads; grows with each change of the leader
  std::string holder;                 ///< who leads
  std::int64_t left_ms = 0;           ///< for how long without another word from it
};

/// Who leads the relays of a name, in the database.
class Leases {
 public:
  /// Begins to lead, or goes on.
  /// @param token  that of before, if there is one
  virtual void ask(const std::string &relay, const std::string &holder, std::optional<std::int64_t> token,
                   std::int64_t span_ms, core::Reply<Lease> &reply) = 0;
  /// Gives the lease back.
  virtual void release(const std::string &relay, std::int64_t token) = 0;

 protected:
  ~Leases() = default;
};

}  // namespace await::relay
