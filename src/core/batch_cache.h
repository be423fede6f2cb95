#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/batch_document.h"
#include "core/memory_ring.h"

namespace await::core {

/// With what the read of a document begins, and which it is stored with.
struct BatchReadStart {
  std::uint64_t generation;
  std::uint32_t timeline;
  std::int64_t at_ms;  ///< of a clock that all processes of this machine share
};

/// A cache of documents of batches, for all nginx workers of this machine. Entries may be evicted at any
/// time.
///
/// The document of a batch that has not ended has no version: its counts change without an event. So who
/// answers with one that was read ends the validity of all that were read before, and so does who tells
/// anything newer about the batch (BatchNews). Therefore nobody is answered with an older document than
/// anybody was before on this machine.
class BatchCache {
 public:
  /// Call before the statement is sent.
  virtual BatchReadStart start(const Uuid &batch) = 0;
  /// A document that may be answered with: one of a batch that does not change any more, or one that was read
  /// at most `open_ms` ago, and that nothing newer is known of.
  virtual std::optional<BatchDocument> find(const BatchQuery &query, std::int64_t open_ms) = 0;
  /// A document was read, and will be answered with. Stores it, unless there was news since.
  /// @param start  with what the read began; empty: it is not stored here
  /// @param open_ms  for how long it may be answered with, while the batch has not ended
  virtual void keep(const BatchQuery &query, const BatchDocument &document,
                    const std::optional<BatchReadStart> &start, std::int64_t open_ms) = 0;
  /// Something newer is known of a batch than what may be stored. Never fails, and waits for nobody.
  virtual void outdate(const Uuid &batch) = 0;

 protected:
  ~BatchCache() = default;
};

/// Whether nothing in the document can change any more.
bool is_settled(const Batch &batch);

/// The documents of a BatchCache, in a MemoryRing, and the generations that say which of them are valid. A
/// generation is a number for all batches whose ids have the same digest; it grows with every outdate(), and
/// a document of an earlier one is not valid. Documents of batches that do not change any more always are.
class BatchRing {
 public:
  /// @param memory  as of MemoryRing
  /// @param generations  shared in the same way; only changed atomically, so without a lock. Not empty.
  BatchRing(std::span<std::byte> memory, std::span<std::uint64_t> generations)
      : ring_(memory), generations_(generations) {}

  // without a lock
  std::uint64_t generation(const Uuid &batch) const;
  void outdate(const Uuid &batch);

  // with the lock of MemoryRing
  /// The packed document, for unpack(); empty if there is none that may be answered with.
  std::string find(const BatchQuery &query, std::int64_t open_ms, std::uint32_t timeline,
                   std::int64_t now_ms);
  /// As of BatchCache, with the document as pack() returned it.
  /// @param timeline  the current one
  void keep(const BatchQuery &query, const BatchDocument &document, const std::string &packed,
            const std::optional<BatchReadStart> &start, std::uint32_t timeline, std::int64_t open_ms);

  static std::string pack(const BatchDocument &document);
  static std::optional<BatchDocument> unpack(std::string_view packed);

 private:
  struct Label;
  struct Known;
  std::uint64_t *slot(const Uuid &batch) const;
  std::optional<Known> known(const BatchQuery &query, std::uint32_t timeline);
  bool is_valid(const Label &label) const;
  bool agrees_with_first_page(const BatchQuery &query, const Batch &batch, std::uint32_t timeline);

  MemoryRing ring_;
  std::span<std::uint64_t> generations_;
};

}  // namespace await::core
