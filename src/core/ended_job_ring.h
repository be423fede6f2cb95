#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/ports.h"

namespace await::core {

/// A bounded memory of jobs that have ended, in bytes that processes may share: a ring that overwrites its
/// oldest, and an index into it. An ending never changes, so there is nothing to invalidate but a line of
/// history that a failover undid: entries hold on one timeline only.
///
/// Not for use by two at once; whoever shares it locks it. A process that dies in the midst of a change is
/// noticed, and everything is forgotten.
class EndedJobRing {
 public:
  /// @param memory  zeroed before its first use; aligned to 8 bytes. Too small for anything: keeps nothing.
  explicit EndedJobRing(std::span<std::byte> memory);

  /// The job as it ended, if its result comes with it as `detail` asks.
  std::optional<Job> find(const Uuid &id, ResultDetail detail, std::uint32_t timeline);
  /// Keeps an ended job, read with `detail`; passes over one that is larger than an eighth of all.
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

/// Ended jobs as bytes, for whoever keeps them.
std::string pack_job(const Job &job);
/// Nothing where the bytes are not what pack_job made.
std::optional<Job> unpack_job(std::string_view bytes);

}  // namespace await::core
