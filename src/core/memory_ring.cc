#include "core/memory_ring.h"

#include <cstring>

namespace await::core {
namespace {

constexpr std::size_t kEntryBytes = 1024;  // of the ring for each slot of the index
constexpr std::size_t kProbes = 4;

}  // namespace

struct MemoryRing::Head {
  std::uint64_t changing;  // a process is changing it, or died while it did
  std::uint64_t next;      // where the next entry goes, modulo `ring`; only grows
  std::uint64_t slots;
  std::uint64_t ring;  // bytes
};

struct MemoryRing::Entry {
  std::uint64_t at;  // its own position: differs if it was overwritten
  Uuid::Raw key;
  std::uint32_t timeline;
  std::uint32_t kind;
  std::uint64_t size;
  std::uint64_t room;  // for the bytes: at least `size`
};

MemoryRing::MemoryRing(std::span<std::byte> memory) {
  std::size_t slots = memory.size() / (kEntryBytes + sizeof(std::uint64_t));
  std::size_t index = sizeof(Head) + slots * sizeof(std::uint64_t);
  if (slots < kProbes || memory.size() < index + kEntryBytes)
    return;
  head_ = reinterpret_cast<Head *>(memory.data());
  index_ = reinterpret_cast<std::uint64_t *>(memory.data() + sizeof(Head));
  ring_ = memory.data() + index;
  std::size_t ring = (memory.size() - index) / 8 * 8;
  if (head_->slots != slots || head_->ring != ring) {
    head_->slots = slots;
    head_->ring = ring;
    forget();
  }
}

void MemoryRing::forget() {
  std::memset(index_, 0, head_->slots * sizeof *index_);
  head_->next = head_->ring;  // so that no position is 0, which means none
  head_->changing = 0;
}

MemoryRing::Entry *MemoryRing::entry(std::uint64_t at) const {
  return reinterpret_cast<Entry *>(ring_ + at % head_->ring);
}

/// Whether the entry has not been overwritten.
bool MemoryRing::holds(std::uint64_t at) const {
  return at != 0 && at < head_->next && head_->next - at <= head_->ring && entry(at)->at == at;
}

/// The slot of the key, or the best one for it: a free one, otherwise the oldest.
std::uint64_t *MemoryRing::slot(const Uuid &key) const {
  // not std::hash, whose seed differs between the processes that share this memory. Clients cannot choose the
  // ids of what is stored, and a search ends after kProbes
  std::uint64_t tail = 0;
  std::memcpy(&tail, key.raw().data() + 8, sizeof tail);
  std::size_t first = tail % head_->slots;
  std::uint64_t *best = nullptr;
  for (std::size_t i = 0; i < kProbes; ++i) {
    std::uint64_t *at = &index_[(first + i) % head_->slots];
    bool held = holds(*at);
    if (held && entry(*at)->key == key.raw())
      return at;
    if (best == nullptr || (held ? *at : 0) < (holds(*best) ? *best : 0))
      best = at;
  }
  return best;
}

std::optional<MemoryRing::Found> MemoryRing::find(const Uuid &key) {
  if (head_ == nullptr)
    return std::nullopt;
  if (head_->changing != 0)
    forget();
  std::uint64_t at = *slot(key);
  if (!holds(at))
    return std::nullopt;
  const Entry &found = *entry(at);
  if (found.key != key.raw() || found.size > head_->ring - at % head_->ring - sizeof(Entry))
    return std::nullopt;
  return Found{found.timeline, found.kind, {reinterpret_cast<const char *>(&found + 1), found.size}};
}

void MemoryRing::put(const Uuid &key, std::uint32_t timeline, std::uint32_t kind, std::string_view bytes,
                     std::size_t spare) {
  if (head_ == nullptr)
    return;
  if (head_->changing != 0)
    forget();
  std::size_t room = (bytes.size() + spare + 7) / 8 * 8;
  if (sizeof(Entry) + room > head_->ring / 8)
    return;
  std::uint64_t *at = slot(key);
  bool fits = holds(*at) && entry(*at)->key == key.raw() && entry(*at)->room >= bytes.size();
  head_->changing = 1;
  std::uint64_t start = fits ? *at : head_->next;
  if (!fits) {
    if (head_->ring - start % head_->ring < sizeof(Entry) + room)
      start += head_->ring - start % head_->ring;  // an entry does not wrap around
    head_->next = start + sizeof(Entry) + room;
  }
  Entry &made = *entry(start);
  made = {start, key.raw(), timeline, kind, bytes.size(), fits ? made.room : room};
  std::memcpy(&made + 1, bytes.data(), bytes.size());
  *at = start;
  head_->changing = 0;
}

}  // namespace await::core
