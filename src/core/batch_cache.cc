#include "core/batch_cache.h"

#include <cstring>

#include "core/pack.h"

namespace await::core {
namespace {

constexpr std::uint32_t kKind = 0x100;  // of an entry of the ring: it is no job

/// The first page has the key of its batch, each other one a key of its own.
Uuid key_of(const BatchQuery &query) {
  Uuid::Raw key = query.id.raw();
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] ^= query.after.raw()[i];
  return Uuid(key);
}

}  // namespace

bool is_settled(const Batch &batch) {
  // the jobs of a batch that was cancelled or has expired end later; until then, its totals are counted
  return batch.state == State::completed ||
         (is_ending(batch.state) && batch.totals.find("\"processing\"") == std::string::npos);
}

/// In the ring, before the packed document.
struct BatchRing::Label {
  Uuid::Raw id;
  Uuid::Raw after;
  std::uint64_t generation;
  std::int64_t read_ms;
  std::int64_t until_ms;
  std::int32_t limit;
  std::int32_t settled;
};

struct BatchRing::Known {
  Label label;
  std::string_view packed;
};

std::uint64_t *BatchRing::slot(const Uuid &batch) const {
  std::uint64_t tail = 0;
  std::memcpy(&tail, batch.raw().data() + 8, sizeof tail);
  return &generations_[tail % generations_.size()];
}

std::uint64_t BatchRing::generation(const Uuid &batch) const {
  return __atomic_load_n(slot(batch), __ATOMIC_SEQ_CST);
}

void BatchRing::outdate(const Uuid &batch) { __atomic_fetch_add(slot(batch), 1, __ATOMIC_SEQ_CST); }

std::optional<BatchRing::Known> BatchRing::known(const BatchQuery &query, std::uint32_t timeline) {
  auto found = ring_.find(key_of(query));
  Known out{};
  if (!found || found->timeline != timeline || found->kind != kKind || found->bytes.size() < sizeof out.label)
    return std::nullopt;
  std::memcpy(&out.label, found->bytes.data(), sizeof out.label);
  out.packed = found->bytes.substr(sizeof out.label);
  if (out.label.id != query.id.raw() || out.label.after != query.after.raw())
    return std::nullopt;
  return out;
}

bool BatchRing::is_valid(const Label &label) const {
  return label.settled == 1 || label.generation == generation(Uuid(label.id));
}

std::string BatchRing::find(const BatchQuery &query, std::int64_t open_ms, std::uint32_t timeline,
                            std::int64_t now_ms) {
  auto found = known(query, timeline);
  if (!found || found->label.limit < query.limit || !is_valid(found->label))
    return {};
  const Label &label = found->label;
  bool is_recent = now_ms < label.until_ms && now_ms - label.read_ms < open_ms;
  return label.settled == 1 || is_recent ? std::string(found->packed) : std::string();
}

void BatchRing::keep(const BatchQuery &query, const BatchDocument &document, const std::string &packed,
                     const std::optional<BatchReadStart> &start, std::uint32_t timeline,
                     std::int64_t open_ms) {
  bool is_last_page = document.jobs.size() <= static_cast<std::size_t>(query.limit);
  std::int32_t limit = is_last_page ? INT32_MAX : query.limit;
  bool settled = is_settled(document.batch);
  // what equals the one that is known makes nothing older: otherwise two nginx workers that read at the same
  // time would each end the validity of the other's
  auto same = known(query, timeline);
  bool is_known = same && same->packed == packed && is_valid(same->label);
  if (is_known && (same->label.settled == 1 || same->label.limit > limit))
    return;
  bool is_news = !is_known && !agrees_with_first_page(query, document.batch, timeline);
  std::uint64_t now =
      is_news ? __atomic_add_fetch(slot(query.id), 1, __ATOMIC_SEQ_CST) : generation(query.id);
  if (!start || start->timeline != timeline || (!settled && open_ms <= 0))
    return;
  if (!settled && now != start->generation + (is_news ? 1 : 0))
    return;  // there was news since, and nobody knows whether it is in this document
  Label label{query.id.raw(), query.after.raw(), now, start->at_ms, start->at_ms + open_ms,
              limit,          settled ? 1 : 0};
  std::string bytes(reinterpret_cast<const char *>(&label), sizeof label);
  // while the batch is open, the next document takes the place of this one
  ring_.put(key_of(query), timeline, kKind, bytes + packed, settled ? 0 : packed.size() / 8);
}

/// Whether another page tells the same of the batch as the first one, which is stored and valid.
bool BatchRing::agrees_with_first_page(const BatchQuery &query, const Batch &batch, std::uint32_t timeline) {
  if (query.after == Uuid())
    return false;
  auto first = known({query.id, Uuid(), 0}, timeline);
  Packer head;
  head.batch(batch);
  return first && is_valid(first->label) && first->packed.starts_with(head.take());
}

std::string BatchRing::pack(const BatchDocument &document) {
  Packer out;
  out.batch(document.batch);
  out.number(static_cast<std::int64_t>(document.jobs.size()));
  for (const Job &job : document.jobs)
    out.job(job);
  return out.take();
}

std::optional<BatchDocument> BatchRing::unpack(std::string_view packed) {
  Unpacker in(packed);
  BatchDocument document;
  document.batch = in.batch();
  const std::int64_t jobs = in.number();
  for (std::int64_t n = 0; in.good() && n < jobs; ++n)
    document.jobs.push_back(in.job());
  if (!in.good() || !in.empty() || jobs < 0)
    return std::nullopt;
  return document;
}

}  // namespace await::core
