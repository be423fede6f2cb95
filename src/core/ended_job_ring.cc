#include "core/ended_job_ring.h"

#include <algorithm>
#include <cstring>

namespace await::core {
namespace {

constexpr std::size_t kEntryBytes = 1024;  // of the ring for each slot of the index
constexpr std::size_t kProbes = 4;
constexpr std::uint32_t kNull = UINT32_MAX;

class Packer {
 public:
  void number(std::int64_t value) { raw(&value, sizeof value); }
  void text(std::string_view value) {
    auto size = static_cast<std::uint32_t>(value.size());
    raw(&size, sizeof size);
    out_.append(value);
  }
  void maybe(const std::optional<std::string> &value) {
    if (value)
      text(*value);
    else
      raw(&kNull, sizeof kNull);
  }
  std::string take() { return std::move(out_); }

 private:
  void raw(const void *bytes, std::size_t size) { out_.append(static_cast<const char *>(bytes), size); }
  std::string out_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  std::int64_t number() {
    std::int64_t value = 0;
    raw(&value, sizeof value);
    return value;
  }
  std::optional<std::string> maybe() {
    std::uint32_t size = 0;
    raw(&size, sizeof size);
    if (size == kNull)
      return std::nullopt;
    if (size > rest_.size()) {
      good_ = false;
      return std::nullopt;
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  std::string text() { return maybe().value_or(""); }
  bool good() const { return good_ && rest_.empty(); }

 private:
  void raw(void *to, std::size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      return;
    }
    std::memcpy(to, rest_.data(), size);
    rest_.remove_prefix(size);
  }
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string pack_job(const Job &job) {
  Packer out;
  out.text({reinterpret_cast<const char *>(job.id.raw().data()), job.id.raw().size()});
  out.text(job.queue);
  out.number(static_cast<std::int64_t>(job.state));
  out.number(job.seq);
  out.number(job.attempt);
  out.number(job.created_at);
  out.number(job.updated_at);
  for (const auto *text : {&job.owner, &job.correlation_id, &job.batch, &job.phase, &job.retry_of,
                           &job.params, &job.progress, &job.error})
    out.maybe(*text);
  out.number(job.result ? 1 : 0);
  if (job.result) {
    out.number(job.result->status);
    out.number(job.result->attempt);
    out.text(job.result->type);
    out.maybe(job.result->name);
    out.number(job.result->size);
    out.number(job.result->inlined ? 1 : 0);
    out.maybe(job.result->body ? std::optional<std::string>(job.result->body->view()) : std::nullopt);
  }
  return out.take();
}

std::optional<Job> unpack_job(std::string_view bytes) {
  Unpacker in(bytes);
  Job job;
  std::string id = in.text();
  Uuid::Raw raw{};
  if (id.size() != raw.size())
    return std::nullopt;
  std::copy(id.begin(), id.end(), raw.begin());
  job.id = Uuid(raw);
  job.queue = in.text();
  job.state = static_cast<State>(in.number());
  job.seq = static_cast<int>(in.number());
  job.attempt = static_cast<int>(in.number());
  job.created_at = in.number();
  job.updated_at = in.number();
  for (auto *text : {&job.owner, &job.correlation_id, &job.batch, &job.phase, &job.retry_of, &job.params,
                     &job.progress, &job.error})
    *text = in.maybe();
  if (in.number() == 1) {
    JobResult result;
    result.status = static_cast<int>(in.number());
    result.attempt = static_cast<int>(in.number());
    result.type = in.text();
    result.name = in.maybe();
    result.size = in.number();
    result.inlined = in.number() == 1;
    if (auto body = in.maybe())
      result.body = Bytes(*body);
    job.result = std::move(result);
  }
  // mutant: memory-gives-endings-only
  if (!in.good() || !is_ending(job.state) || job.state > State::expired)
    return std::nullopt;
  return job;
}

struct EndedJobRing::Head {
  std::uint64_t changing;  // a process is changing it, or died while it did
  std::uint64_t next;      // where the next entry goes, modulo `ring`; only grows
  std::uint64_t slots;
  std::uint64_t ring;  // bytes
};

struct EndedJobRing::Entry {
  std::uint64_t at;  // its own position: differs if it was overwritten
  Uuid::Raw id;
  std::uint32_t timeline;
  std::uint32_t detail;
  std::uint64_t size;
};

EndedJobRing::EndedJobRing(std::span<std::byte> memory) {
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

void EndedJobRing::forget() {
  std::memset(index_, 0, head_->slots * sizeof *index_);
  head_->next = head_->ring;  // so that no position is 0, which means none
  head_->changing = 0;
}

EndedJobRing::Entry *EndedJobRing::entry(std::uint64_t at) const {
  return reinterpret_cast<Entry *>(ring_ + at % head_->ring);
}

/// Whether the entry has not been overwritten.
bool EndedJobRing::holds(std::uint64_t at) const {
  return at != 0 && at < head_->next && head_->next - at <= head_->ring && entry(at)->at == at;
}

/// The slot of the job, or the best one for it: a free one, otherwise the oldest.
std::uint64_t *EndedJobRing::slot(const Uuid &id) const {
  // not std::hash, whose seed differs between the processes that share this memory. Clients cannot choose the
  // ids of stored jobs, and a search ends after kProbes
  std::uint64_t tail = 0;
  std::memcpy(&tail, id.raw().data() + 8, sizeof tail);
  std::size_t first = tail % head_->slots;
  std::uint64_t *best = nullptr;
  for (std::size_t i = 0; i < kProbes; ++i) {
    std::uint64_t *at = &index_[(first + i) % head_->slots];
    bool held = holds(*at);
    if (held && entry(*at)->id == id.raw())
      return at;
    if (best == nullptr || (held ? *at : 0) < (holds(*best) ? *best : 0))
      best = at;
  }
  return best;
}

std::optional<Job> EndedJobRing::find(const Uuid &id, ResultDetail detail, std::uint32_t timeline) {
  if (head_ == nullptr)
    return std::nullopt;
  if (head_->changing != 0)
    forget();
  std::uint64_t at = *slot(id);
  if (!holds(at))
    return std::nullopt;
  const Entry &found = *entry(at);
  // mutant: memory-of-this-history
  bool fits = found.id == id.raw() && found.timeline == timeline &&
              found.detail >= static_cast<std::uint32_t>(detail);
  if (!fits || found.size > head_->ring - at % head_->ring - sizeof(Entry))
    return std::nullopt;
  return unpack_job({reinterpret_cast<const char *>(&found + 1), found.size});
}

void EndedJobRing::keep(const Job &job, ResultDetail detail, std::uint32_t timeline) {
  // mutant: memory-takes-endings-only
  if (head_ == nullptr || !is_ending(job.state))
    return;
  if (head_->changing != 0)
    forget();
  std::string bytes = pack_job(job);
  std::size_t size = (sizeof(Entry) + bytes.size() + 7) / 8 * 8;
  if (size > head_->ring / 8)
    return;
  std::uint64_t *at = slot(job.id);
  if (holds(*at) && entry(*at)->id == job.id.raw() && entry(*at)->timeline == timeline &&
      entry(*at)->detail >= static_cast<std::uint32_t>(detail))
    return;
  head_->changing = 1;
  std::uint64_t start = head_->next;
  if (head_->ring - start % head_->ring < size)
    start += head_->ring - start % head_->ring;  // an entry does not wrap around
  head_->next = start + size;
  Entry &made = *entry(start);
  made = {start, job.id.raw(), timeline, static_cast<std::uint32_t>(detail), bytes.size()};
  std::memcpy(&made + 1, bytes.data(), bytes.size());
  *at = start;
  head_->changing = 0;
}

}  // namespace await::core
