#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/ports.h"

namespace await::core {

/// A cache of ended jobs in memory that processes may share: a ring that overwrites its oldest entries, and
/// an index. A final state never changes, so nothing is invalidated, except by a failover: an entry is valid
/// on one timeline only.
///
/// Not synchronised: processes that share the memory hold a lock during each call. If a process dies during a
/// change, the next call clears the ring.
class EndedJobRing {
 public:
  /// @param memory  zeroed before its first use; aligned to 8 bytes; must outlive this. If it is too small,
  ///                nothing is stored.
  explicit EndedJobRing(std::span<std::byte> memory);

  /// The ended job; empty if it is not stored, or was stored with less than `detail`.
  std::optional<Job> find(const Uuid &id, ResultDetail detail, std::uint32_t timeline);
  /// Stores an ended job that was read with `detail`. Ignores a job that is larger than an eighth of the
  /// ring.
  void keep(const Job &job, ResultDetail detail, std::uint32_t timeline);

 private:
  struct Head;
  struct Entry;
  Entry *entry(std::uint64_t at) const;
  bool holds(std::uint64_t at) const;
  std::uint64_t *slot(const Uuid &id) const;
  void forget();

  Head *head_ = nullptr;
  std::uint64_t *index_ = nullptr;
  std::byte *ring_ = nullptr;
};

/// Serializes an ended job.
std::string pack_job(const Job &job);
/// Empty if the bytes are not from pack_job().
std::optional<Job> unpack_job(std::string_view bytes);

}  // namespace await::core
