#include "core/submit_batcher.h"

#include <algorithm>
#include <set>

namespace await::core {
namespace {
constexpr std::int64_t kRetryMs = 100;
}

struct SubmitBatcher::Flight {
  explicit Flight(SubmitBatcher &batcher) : owner(batcher) {}
  void on_result(Result<std::vector<Submitted>> outcome) { owner.on_result(*this, std::move(outcome)); }

  SubmitBatcher &owner;
  List<Submission> members;
  std::size_t size = 0;
  Reply<std::vector<Submitted>> reply = Reply<std::vector<Submitted>>::to<&Flight::on_result>(this);
};

SubmitBatcher::SubmitBatcher(Store &store, Bus &bus, Scheduler &scheduler, Limits limits)
    : store_(store), bus_(bus), scheduler_(scheduler), limits_(limits) {
  for (std::size_t i = 0; i < limits_.flights; ++i)
    flights_.push_back(std::make_unique<Flight>(*this));
}

SubmitBatcher::~SubmitBatcher() = default;

void SubmitBatcher::add(Submission &submission, std::int64_t now_ms) {
  submission.batch_max_ = limits_.rows;
  submission.give_up_ = now_ms + limits_.patience_ms;
  waiting_.push_back(submission);
  scheduler_.run_soon();
}

void SubmitBatcher::run(std::int64_t now_ms) {
  if (away_) {
    away_ = false;
    expire(now_ms);
  }
  for (auto &flight : flights_) {
    if (waiting_.empty())
      break;
    if (!flight->reply.waiting())
      send(*flight);
  }
}

bool SubmitBatcher::may_join(const Submission &next, const NewJob &first, bool apart) {
  return !(apart || next.apart_) || next.job.queue == first.queue;
}

void SubmitBatcher::send(Flight &flight) {
  std::vector<const NewJob *> jobs;
  std::size_t bytes = 0;
  std::size_t most = limits_.rows;
  bool apart = false;
  while (Submission *next = waiting_.front()) {
    std::size_t size = next->job.payload ? next->job.payload->size() : 0;
    most = std::min(most, next->batch_max_);
    if (!jobs.empty() &&
        (jobs.size() >= most || bytes + size > limits_.bytes || !may_join(*next, *jobs.front(), apart)))
      break;
    apart = apart || next->apart_;
    bytes += size;
    next->slot_ = jobs.size();
    next->sent_ = true;
    jobs.push_back(&next->job);
    flight.members.push_back(*next);
  }
  flight.size = jobs.size();
  ++in_flight_;
  // mutant: accepted-after-commit
  store_.submit(jobs, flight.reply);
}

void SubmitBatcher::on_result(Flight &flight, Result<std::vector<Submitted>> outcome) {
  --in_flight_;
  if (!outcome) {
    on_refusal(flight, outcome.error());
    return;
  }
  if (!waiting_.empty())
    scheduler_.run_soon();
  std::set<std::string_view> queues;
  flight.members.each([&](Submission &member) {
    const Submitted &stored = (*outcome)[member.slot_];
    bool is_new = stored.id == member.job.id && stored.full == Full::no;
    if (is_new && !member.job.delay_ms && queues.insert(member.job.queue).second)
      bus_.announce(member.job.queue);
  });
  List<Submission> members;  // a callback may destroy any of them, and send new batches
  members.take_all(flight.members);
  // mutant: answers-in-order
  while (Submission *member = members.pop_front())
    member->callback_((*outcome)[member->slot_]);
}

void SubmitBatcher::on_refusal(Flight &flight, const Error &error) {
  List<Submission> members;
  members.take_all(flight.members);
  // mutant: what-passes-is-sent-again
  bool away = may_have_succeeded(error);
  // mutant: bad-row-alone
  bool hopeless = flight.size == 1;
  members.each([&](Submission &member) {
    // mutant: lost-answer-is-no-refusal
    member.unsure_ = member.unsure_ || away;
    member.sent_ = false;
  });
  if (!away && error.code == Code::conflict)
    hopeless = part_by_queue(members) || hopeless;
  if (away || !hopeless) {  // again: later all of it, or at once in parts
    members.each([&](Submission &member) {
      if (!away && !member.apart_)
        member.batch_max_ = std::max<std::size_t>(1, flight.size / 2);
    });
    members.take_all(waiting_);
    // mutant: failed-batch-waits
    waiting_.take_all(members);
    away_ = away_ || away;
    if (away)
      scheduler_.run_after(kRetryMs);
    else
      scheduler_.run_soon();
    return;
  }
  if (!waiting_.empty())
    scheduler_.run_soon();
  while (Submission *member = members.pop_front())
    member->callback_(error);
}

/// After a conflict, which is about a queue that another transaction is creating, or about an idempotency
/// key. Each attempt may block for a moment, so the batch is not halved down to single submissions: those of
/// a queue are sent together, without others, and are rejected together if they conflict again.
/// @return  whether they are rejected
bool SubmitBatcher::part_by_queue(List<Submission> &members) {
  std::vector<Submission *> all;
  bool keys = false;
  while (Submission *member = members.pop_front()) {
    keys = keys || member->job.idempotency;
    all.push_back(member);
  }
  std::stable_sort(all.begin(), all.end(), [](auto *a, auto *b) { return a->job.queue < b->job.queue; });
  bool one = all.empty() || all.front()->job.queue == all.back()->job.queue;
  for (Submission *member : all) {
    member->apart_ = !one;
    members.push_back(*member);
  }
  return one && !keys;
}

void SubmitBatcher::expire(std::int64_t now_ms) {
  List<Submission> late;
  waiting_.each([&](Submission &member) {
    // mutant: patience-ends
    if (member.give_up_ <= now_ms)
      late.push_back(member);
  });
  while (Submission *member = late.pop_front())
    member->callback_(Error{Code::unavailable, "timeout: PostgreSQL did not store the submission in time"});
}

}  // namespace await::core
