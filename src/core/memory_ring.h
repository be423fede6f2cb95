#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// Entries by key in memory that processes may share: a ring that overwrites its oldest entries, and an
/// index. Several objects on the same memory are one ring.
///
/// Not synchronised: processes that share the memory hold a lock during each call, and while they use what it
/// has returned. If a process dies during a change, the next call clears the ring.
class MemoryRing {
 public:
  struct Found {
    std::uint32_t timeline;
    std::uint32_t kind;
    std::string_view bytes;
  };

  /// @param memory  zeroed before its first use; aligned to 8 bytes; must outlive this. If it is too small,
  ///                nothing is stored.
  explicit MemoryRing(std::span<std::byte> memory);

  /// Whether the memory is large enough to store anything.
  bool has_room() const { return head_ != nullptr; }
  std::optional<Found> find(const Uuid &key);
  /// Stores an entry in the place of the one with this key, if it fits there. Ignores one that is larger than
  /// an eighth of the ring.
  /// @param spare  bytes by which later entries with this key may be larger, and still fit
  void put(const Uuid &key, std::uint32_t timeline, std::uint32_t kind, std::string_view bytes,
           std::size_t spare = 0);

 private:
  struct Head;
  struct Entry;
  Entry *entry(std::uint64_t at) const;
  bool holds(std::uint64_t at) const;
  std::uint64_t *slot(const Uuid &key) const;
  void forget();

  Head *head_ = nullptr;
  std::uint64_t *index_ = nullptr;
  std::byte *ring_ = nullptr;
};

}  // namespace await::core
