#include "sim/batch_clients.h"

#include <algorithm>

#include "sim/poison.h"

namespace await::sim {
namespace {

constexpr std::size_t kLarge = 40'000;                              // of a job's payload
constexpr std::size_t kMostHeld = 3 * core::BatchIntake::kPortion;  // of memory, by one batch
constexpr std::int64_t kPatienceMs = 25'000;                        // of a client

}  // namespace

// --- submitting -------------------------------------------------------------------------------------------

BatchSubmitter::BatchSubmitter(Service &service, Node &node, core::NewBatch head, int jobs, bool poison)
    : service_(service),
      node_(&node),
      head_(std::move(head)),
      jobs_(jobs),
      bad_job_(poison ? static_cast<int>(service.world.between(0, jobs - 1)) : -1),
      stepped_(service.world.now()),
      intake_(std::make_unique<core::BatchIntake>(
          node.store, node.store, *this, head_.id,
          core::Callback<Result<Done>>::to<&BatchSubmitter::on_staged>(this),
          core::Callback<Result<core::Submitted>>::to<&BatchSubmitter::on_submitted>(this))) {
  come_later();
}

/// An id of the same user, and in the same shard.
Uuid BatchSubmitter::new_id(unsigned retention, std::int64_t least_ms) {
  auto random = service_.world.ten();
  const Uuid::Raw &own = head_.id.raw();
  random[3] = own[9], random[8] = own[14], random[9] = own[15];
  return Uuid::v7(std::max(service_.database_ms(), least_ms), retention, random);
}

void BatchSubmitter::leave() {
  node_ = nullptr;
  *alive_ = false;
  if (submitting_)
    service_.database.leave_to_purge(head_.id, uploads_);
  upload_.reset();
  intake_.reset();
}

void BatchSubmitter::check_wait() {
  auto now = service_.world.now();
  auto since = std::max(stepped_, service_.weather.trouble_until);
  if (!done() && (now - since > 4000 || now - stepped_ > kPatienceMs))
    service_.world.violated("P1", name() + " gets no answer for " + std::to_string(now - stepped_) + " ms");
}

void BatchSubmitter::come_later() {
  stalled_ = false;
  service_.world.after(service_.world.between(0, 30), [this, alive = alive_] {
    if (*alive)
      come();
  });
}

/// The next job comes, or the end.
void BatchSubmitter::come() {
  if (is_busy()) {
    stalled_ = true;
    return;
  }
  stepped_ = service_.world.now();
  if (come_ == jobs_) {
    go_on();
    return;
  }
  add_job();
  if (intake_->held() > kMostHeld)
    service_.world.violated("P8", name() + " takes " + std::to_string(intake_->held()) + " bytes of memory");
  come_later();
}

void BatchSubmitter::add_job() {
  core::NewJob job;
  job.queue = "work";
  job.params = come_ == bad_job_ ? "poison" : std::to_string(come_);
  if (!head_.phases.empty())
    job.phase = head_.phases.front();
  ++come_;
  if (service_.world.chance(0.1)) {
    add_large(std::move(job));
    return;
  }
  job.payload = std::string(service_.world.chance(0.3) ? kLarge : 10, 'x');
  job.payload_size = static_cast<std::int64_t>(job.payload->size());
  intake_->add(std::move(job));
}

void BatchSubmitter::add_large(core::NewJob job) {
  large_ = std::move(job);
  large_.id = intake_->next_id();
  uploads_.push_back(large_.id);
  upload_ = std::make_unique<core::Upload>(
      node_->store, large_.id, core::Callback<Result<Done>>::to<&BatchSubmitter::on_upload>(this));
  upload_->append(std::string(core::Upload::kInline + 10, 'x'), core::Upload::kInline);
  if (upload_->finish())
    large_stored();
}

void BatchSubmitter::large_stored() {
  large_.payload_size = upload_->size();
  large_.payload = upload_->take_inline();
  upload_->keep(true);  // the intake has its chunks
  upload_.reset();
  intake_->add(std::exchange(large_, core::NewJob()));
}

void BatchSubmitter::on_upload(Result<Done> stored) {
  if (!stored) {
    leave();
    return;
  }
  if (!upload_->finished())
    return;
  large_stored();
  go_on();
}

void BatchSubmitter::on_staged(Result<Done> stored) { stored ? go_on() : leave(); }

void BatchSubmitter::go_on() {
  if (is_busy())
    return;
  stepped_ = service_.world.now();
  if (come_ < jobs_) {
    if (stalled_)
      come_later();
    return;
  }
  if (!intake_->finish())
    return;
  head_.jobs = intake_->jobs();
  if (head_.jobs != jobs_)
    service_.world.violated(
        "P1", name() + " has " + std::to_string(head_.jobs) + " jobs of " + std::to_string(jobs_));
  submitting_ = true;
  intake_->submit(head_);
}

void BatchSubmitter::on_submitted(Result<core::Submitted> outcome) {
  ++service_.answers;
  submitting_ = false;
  if (!outcome)
    check_refused(outcome.error());
  else if (outcome->id != head_.id)
    check_replayed(*outcome);
  else
    check_stored();
  leave();
}

void BatchSubmitter::check_refused(const Error &error) {
  if (error.code == Code::invalid && bad_job_ < 0)
    service_.world.violated("P1", name() + " was refused, and is good");
  // a failover may have lost what was staged
  if (error.code == Code::internal && service_.database.timeline() == 1)
    service_.world.violated("P1", name() + " was refused: " + error.detail);
  if (!core::may_have_succeeded(error) && service_.database.has(head_.id))
    service_.world.violated("P1", name() + " was refused, and is stored");
}

void BatchSubmitter::check_replayed(const core::Submitted &first) {
  if (!head_.idempotency)
    service_.world.violated("P1", name() + " got the answer of another");
  if (service_.database.has(head_.id))
    service_.world.violated("P1", name() + " is stored beside the first one with its key");
  if (!service_.database.has(first.id) && service_.database.timeline() == node_->timeline())
    service_.world.violated("P1", name() + " got the answer of one that is not stored");
}

/// All its jobs are there, in their order.
void BatchSubmitter::check_stored() {
  if (bad_job_ >= 0)
    service_.world.violated("P1", name() + " was accepted, and one of its jobs cannot be stored");
  if (service_.database.timeline() != node_->timeline())
    return;
  auto all = service_.database.jobs_of(head_.id, Uuid(), INT_MAX);
  std::erase_if(all, [](const auto &job) { return job.params.value_or("").empty(); });  // added by workers
  bool whole = service_.database.has(head_.id) && static_cast<int>(all.size()) >= jobs_;
  for (int n = 0; whole && n < jobs_; ++n)
    whole = all[static_cast<std::size_t>(n)].params == std::to_string(n);
  if (!whole)
    service_.world.violated("P1", name() + " was accepted, and its jobs are not all there, in their order");
  service_.accepted_batches.push_back(head_.id);
  node_->tell_user_of(head_.id);
}

// --- adding and cancelling --------------------------------------------------------------------------------

BatchAdder::BatchAdder(Service &service, Node &node, const Uuid &batch, core::NewJob job, bool fits)
    : service_(service), node_(&node), batch_(batch), job_(std::move(job)), fits_(fits) {
  node.store.add(batch_, job_, reply_);
}

void BatchAdder::added(Result<core::Added> outcome) {
  using Outcome = core::Added::Outcome;
  ++service_.answers;
  const Database &database = service_.database;
  std::string say = "a job added to batch " + batch_.text().substr(24);
  if (!outcome)
    Poisoner::must_be_innocent(service_, outcome.error());
  if (!outcome || database.timeline() != node_->timeline() || database.is_purged(batch_))
    return;
  bool is_there = database.has(job_.id) && database.batch_of(job_.id) == batch_;
  if ((outcome->outcome == Outcome::added) != is_there)
    service_.world.violated("P1", say + (is_there ? " was refused, and is stored" : " is not stored"));
  auto entries = database.history(batch_);
  if (outcome->outcome == Outcome::ended && (entries.empty() || !core::is_ending(entries.back().state)))
    service_.world.violated("P1", say + " was refused, and the batch is open");
  if ((outcome->outcome == Outcome::no_phase) == fits_ && outcome->outcome != Outcome::ended)
    service_.world.violated("P1", say + " has the wrong answer about its phase");
}

Canceller::Canceller(Service &service, Node &node, const Uuid &id)
    : service_(service), node_(&node), id_(id) {
  node.store.cancel(id, std::nullopt, reply_);
}

void Canceller::cancelled(Result<core::Cancelled> outcome) {
  ++service_.answers;
  if (!outcome || service_.database.timeline() != node_->timeline() || service_.database.is_purged(id_))
    return;
  auto entries = service_.database.history(id_);
  bool is_cancelled = !entries.empty() && entries.back().state == core::State::cancelled;
  bool says_so = *outcome == core::Cancelled::now || *outcome == core::Cancelled::already;
  if (says_so != is_cancelled)
    service_.world.violated("P2", id_.text().substr(24) + " has the wrong answer to its cancelling");
}

// --- lists ------------------------------------------------------------------------------------------------

namespace {

template <class Page>
class Walk : public Lister {
 public:
  Walk(Service &service, core::ListQuery query, std::set<Uuid> there)
      : service_(service), there_(std::move(there)), timeline_(service.database.timeline()) {
    read_.page = std::move(query);
    ask();
  }
  bool done() const override { return done_; }
  Node *node() const override { return node_; }
  void disconnect() override {
    node_ = nullptr;
    read_.unlink();
    comeback_.after(10, 500);
  }
  void check_wait() override {
    auto since = std::max(began_, service_.weather.trouble_until);
    if (node_ != nullptr && service_.world.now() - since > service_.bound_ms)
      service_.world.violated("P3", "a page of a list does not come");
  }

 private:
  void ask() {
    node_ = service_.some_node();
    began_ = service_.world.now();
    if (node_ == nullptr)
      comeback_.after(100, 1000);
    else
      batcher(*node_).add(read_);
  }
  static auto &batcher(Node &node) {
    if constexpr (std::is_same_v<Page, core::JobPage>)
      return node.job_lists;
    else
      return node.batch_lists;
  }

  void got(Result<const Page *> page) {
    Node *from = std::exchange(node_, nullptr);
    bool same_history = from->timeline() == timeline_ && service_.database.timeline() == timeline_;
    if (page && same_history) {
      take(**page);
      done_ = !(*page)->next;
      read_.page.after = (*page)->next;
      if (done_)
        check_whole();
    }
    if (!same_history)
      done_ = true;  // nothing is promised of a list over a failover
    if (!done_)
      comeback_.after(1, 200);
  }

  void take(const Page &page) {
    ++service_.answers;
    if (page.entries.size() > static_cast<std::size_t>(read_.page.limit))
      service_.world.violated("P4", "a page of a list is longer than its limit");
    for (const auto &entry : page.entries) {
      if (!service_.database.has(entry.id))
        continue;  // it was purged meanwhile
      core::ListPosition at = service_.database.position_of(entry.id);
      if (last_ && (by_id() ? at.id >= last_->id : at.eid >= last_->eid))
        service_.world.violated("P4", "a list goes back at " + entry.id.text());
      last_ = at;
      there_.erase(entry.id);
    }
  }

  bool by_id() const { return read_.page.of_batches || read_.page.batch; }

  void check_whole() {
    for (const Uuid &id : there_) {
      if (service_.database.has(id))
        service_.world.violated("P4", "a list has left out " + id.text());
    }
  }

  Service &service_;
  std::set<Uuid> there_;  // when it began; those that have not come
  std::uint32_t timeline_;
  Node *node_ = nullptr;
  bool done_ = false;
  std::int64_t began_ = 0;
  std::optional<core::ListPosition> last_;
  core::ListRead<Page> read_{core::Callback<Result<const Page *>>::template to<&Walk::got>(this)};
  Comeback comeback_{service_, [this] { ask(); }};
};

}  // namespace

std::unique_ptr<Lister> Lister::of_jobs(Service &service, core::ListQuery query) {
  std::set<Uuid> there;
  for (const Uuid &id : service.database.all()) {
    if (service.database.has(id) && user_of(id).text() == query.owner &&
        (!query.batch || service.database.batch_of(id) == query.batch))
      there.insert(id);
  }
  return std::make_unique<Walk<core::JobPage>>(service, std::move(query), std::move(there));
}

std::unique_ptr<Lister> Lister::of_batches(Service &service, core::ListQuery query) {
  std::set<Uuid> there;
  query.of_batches = true;
  for (const Uuid &id : service.database.batches()) {
    if (user_of(id).text() == query.owner)
      there.insert(id);
  }
  return std::make_unique<Walk<core::BatchPage>>(service, std::move(query), std::move(there));
}

}  // namespace await::sim
