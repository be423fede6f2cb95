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
  // mutant: submitted-jobs-stay
  if (kept_)
    return;
  // mutant: staged-jobs-are-removed
  if (staged_ > 0)
    batches_.unstage(id_);
  // mutant: chunks-are-removed
  for (const Uuid &job : chunked_)
    payloads_.drop(job);
}

/// The earliest time of an id that is greater than all before. The two low bits are the retention class.
std::int64_t BatchIntake::behind_last() const {
  // mutant: behind-the-last
  return last_ == Uuid() ? 0 : last_.unix_ms() + 4;
}

Uuid BatchIntake::next_id() {
  // mutant: ids-of-those-before
  give_ids();
  last_ = ids_.new_id(id_.retention(), behind_last());
  return last_;
}

void BatchIntake::give_ids() {
  std::vector<Uuid> fresh;
  for (const NewJob &job : portion_) {
    if (job.id == Uuid())
      fresh.push_back(ids_.new_id(id_.retention(), behind_last()));
  }
  // mutant: ids-in-order
  std::sort(fresh.begin(), fresh.end());
  auto next = fresh.begin();
  for (NewJob &job : portion_) {
    if (job.id == Uuid())
      job.id = *next++;
  }
  // mutant: ids-go-on
  if (!fresh.empty())
    last_ = fresh.back();
}

void BatchIntake::add(NewJob job) {
  // mutant: chunks-are-known
  if (!job.payload)
    chunked_.push_back(job.id);
  bytes_ += size_of(job);
  ++jobs_;
  portion_.push_back(std::move(job));
  // mutant: portion-by-portion
  if (bytes_ >= kPortion && !reply_.waiting())
    stage();
}

bool BatchIntake::finish() {
  finishing_ = true;
  // mutant: rest-is-staged
  if (!portion_.empty() && !reply_.waiting())
    stage();
  return finished();
}

void BatchIntake::stage() {
  give_ids();
  batches_.stage(id_, staged_ + 1, portion_, reply_);
  // mutant: place-of-the-next
  staged_ += static_cast<int>(portion_.size());
  sending_ = std::exchange(bytes_, 0);
  std::vector<NewJob>().swap(portion_);  // so that a client that stalls does not hold memory
}

void BatchIntake::on_staged(Result<Done> outcome) {
  sending_ = 0;
  // mutant: what-came-meanwhile
  if (outcome && !portion_.empty() && (bytes_ >= kPortion || finishing_)) {
    stage();
    // mutant: room-again
    if (!finishing_)
      on_progress_(outcome);  // there is room again; may destroy this
    return;
  }
  on_progress_(std::move(outcome));
}

void BatchIntake::submit(const NewBatch &batch) {
  // mutant: answer-may-be-lost
  kept_ = true;
  batches_.submit(batch, submitted_);
}

void BatchIntake::on_outcome(Result<Submitted> outcome) {
  // mutant: refused-batch-leaves-nothing
  kept_ = outcome ? outcome->full == Full::no && outcome->id == id_ : may_have_succeeded(outcome.error());
  on_submitted_(std::move(outcome));
}

}  // namespace await::core
