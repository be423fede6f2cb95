#include "core/batch_intake.h"

#include <algorithm>
#include <utility>

namespace await::core {
namespace {

std::size_t size_of(const NewJob &job) {
  auto of = [](const std::optional<std::string> &text) { return text ? text->size() : 0; };
  return sizeof job + job.content_type.size() + of(job.file_name) + of(job.params) + of(job.payload);
}

}  // namespace

BatchIntake::~BatchIntake() {
  if (kept_)
    return;
  if (staged_ > 0)
    batches_.unstage(id_);
  for (const Uuid &job : chunked_)
    payloads_.drop(job);
}

/// The earliest time of an id that is greater than all before. The two low bits are the retention class.
std::int64_t BatchIntake::behind_last() const { return last_ == Uuid() ? 0 : last_.unix_ms() + 4; }

Uuid BatchIntake::next_id() {
  give_ids();  // to those before it
  last_ = ids_.new_id(id_.retention(), behind_last());
  return last_;
}

void BatchIntake::give_ids() {
  std::vector<Uuid> fresh;
  for (const NewJob &job : portion_) {
    if (job.id == Uuid())
      fresh.push_back(ids_.new_id(id_.retention(), behind_last()));
  }
  std::sort(fresh.begin(), fresh.end());
  auto next = fresh.begin();
  for (NewJob &job : portion_) {
    if (job.id == Uuid())
      job.id = *next++;
  }
  if (!fresh.empty())
    last_ = fresh.back();
}

void BatchIntake::add(NewJob job) {
  if (!job.payload)
    chunked_.push_back(job.id);
  bytes_ += size_of(job);
  ++jobs_;
  portion_.push_back(std::move(job));
  if (bytes_ >= kPortion && !reply_.waiting())
    stage();
}

bool BatchIntake::finish() {
  finishing_ = true;
  if (!portion_.empty() && !reply_.waiting())
    stage();
  return finished();
}

void BatchIntake::stage() {
  give_ids();
  batches_.stage(id_, staged_ + 1, portion_, reply_);
  staged_ += static_cast<int>(portion_.size());
  sending_ = std::exchange(bytes_, 0);
  std::vector<NewJob>().swap(portion_);  // so that a client that stalls does not hold memory
}

void BatchIntake::on_staged(Result<Done> outcome) {
  sending_ = 0;
  if (outcome && !portion_.empty() && (bytes_ >= kPortion || finishing_)) {
    stage();
    if (!finishing_)
      on_progress_(outcome);  // there is room again; may destroy this
    return;
  }
  on_progress_(std::move(outcome));
}

}  // namespace await::core
