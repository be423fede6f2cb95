#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/memory_ring.h"
#include "core/ports.h"

namespace await::core {

/// A cache of ended jobs in a MemoryRing. A final state never changes, so nothing is invalidated, except by a
/// failover: an entry is valid on one timeline only.
///
/// Not synchronised, as MemoryRing.
class EndedJobRing {
 public:
  /// @param memory  as of MemoryRing
  explicit EndedJobRing(std::span<std::byte> memory) : ring_(memory) {}

  /// The ended job; empty if it is not stored, or was stored with less than `detail`.
  std::optional<Job> find(const Uuid &id, ResultDetail detail, std::uint32_t timeline);
  /// Stores an ended job that was read with `detail`. Ignores a job that is larger than an eighth of the
  /// ring.
  void keep(const Job &job, ResultDetail detail, std::uint32_t timeline);

 private:
  MemoryRing ring_;
};

/// Serializes an ended job.
std::string pack_job(const Job &job);
/// Empty if the bytes are not from pack_job().
std::optional<Job> unpack_job(std::string_view bytes);

}  // namespace await::core
