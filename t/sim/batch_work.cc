// Batches: clients submit, cancel and list them, workers work on their jobs and add others, maintenance looks
// after them.

#include <algorithm>

#include "sim/run.h"

namespace await::sim {
namespace {

constexpr std::size_t kOpenBatches = 8;
constexpr int kMostJobs = 30;
constexpr std::int64_t kVisitMs = 400;
constexpr std::int64_t kReadyMs = 3000;  ///< the longest a batch may stay open when all its jobs have ended
const std::vector<std::string> kPhases = {"first", "second", "third"};

template <class T>
const T &one_of(World &world, const std::vector<T> &all) {
  return all[static_cast<std::size_t>(world.between(0, static_cast<int>(all.size()) - 1))];
}

}  // namespace

void Run::act_on_batches() {
  double dice = world_.unit();
  Node *node = service_.some_node();
  if (node == nullptr)
    return;
  if (dice < 0.25)
    submit_batch(*node);
  else if (dice < 0.45)
    add_to_batch(*node);
  else if (dice < 0.48 && !service_.accepted_batches.empty())
    cancel(*node);
  else if (dice < 0.6)
    list();
  else if (dice < 0.7 && !batch_submitters_.empty())
    one_of(world_, batch_submitters_)->leave();
  else if (dice < 0.72)
    expire();
}

Uuid Run::new_id() {
  auto random = world_.ten();
  if (few_shards_)  // which are shared then, and subscribed to already
    random[8] = 0, random[9] &= 7;
  return Uuid::v7(service_.database_ms(), 1, random);
}

void Run::submit_batch(Node &node) {
  auto all = database_.batches();
  auto open = std::count_if(all.begin(), all.end(), [this](const Uuid &batch) {
    return !core::is_ending(database_.history(batch).back().state);
  });
  if (static_cast<std::size_t>(open) + batch_submitters_.size() >= kOpenBatches)
    return;
  core::NewBatch head;
  head.id = new_id().as_v8();
  head.owner = user_of(head.id).text();
  head.scope = ".batch:work";
  if (world_.chance(0.5))
    head.phases.assign(kPhases.begin(), kPhases.begin() + world_.between(1, 3));
  if (world_.chance(0.5))
    head.on_ready = "mail";
  if (world_.chance(0.3))
    head.idempotency = core::IdempotencyKey{std::to_string(world_.between(0, 9)), "p", 60'000};
  int jobs = static_cast<int>(world_.chance(0.3) ? world_.between(1, 3) : world_.between(1, kMostJobs));
  batch_submitters_.push_back(
      std::make_unique<BatchSubmitter>(service_, node, std::move(head), jobs, world_.chance(0.1)));
}

/// Mostly a young one.
std::optional<Uuid> Run::some_batch() {
  auto &all = service_.accepted_batches;
  auto n = static_cast<std::int64_t>(all.size());
  if (n == 0)
    return std::nullopt;
  auto from = world_.chance(0.8) ? std::max<std::int64_t>(0, n - 6) : 0;
  const Uuid &batch = all[static_cast<std::size_t>(world_.between(from, n - 1))];
  return database_.has(batch) ? std::optional(batch) : std::nullopt;
}

void Run::add_to_batch(Node &node) {
  auto batch = some_batch();
  if (!batch)
    return;
  bool fits = world_.chance(0.9);
  int phases = database_.phases_of(*batch);
  core::NewJob job;
  auto random = world_.ten();
  random[3] = batch->raw()[9], random[8] = batch->raw()[14], random[9] = batch->raw()[15];
  job.id = Uuid::v7(service_.database_ms(), 1, random);
  job.queue = "work";
  if ((phases > 0) == fits)
    job.phase = kPhases[static_cast<std::size_t>(world_.between(0, std::max(0, phases - 1)))];
  adders_.push_back(std::make_unique<BatchAdder>(service_, node, *batch, std::move(job), fits));
}

void Run::cancel(Node &node) {
  auto batch = some_batch();
  if (!batch)
    return;
  auto jobs = database_.jobs_in(*batch);
  bool one = !jobs.empty() && world_.chance(0.7);
  cancellers_.push_back(std::make_unique<Canceller>(service_, node, one ? one_of(world_, jobs) : *batch));
}

void Run::list() {
  core::ListQuery query;
  query.owner = user_id(static_cast<std::uint8_t>(world_.between(0, Database::kUsers - 1))).text();
  query.limit = static_cast<int>(world_.between(1, 60));
  if (listers_.size() >= 4)
    return;
  auto batch = some_batch();
  if (world_.chance(0.5)) {
    listers_.push_back(Lister::of_batches(service_, std::move(query)));
    return;
  }
  if (batch && world_.chance(0.5)) {
    query.batch = *batch;
    query.owner = user_of(*batch).text();
  }
  listers_.push_back(Lister::of_jobs(service_, std::move(query)));
}

/// A batch whose deadline has passed.
void Run::expire() {
  auto batch = some_batch();
  if (!batch || weather_.away || weather_.stalled || database_.is_busy(*batch) ||
      core::is_ending(database_.history(*batch).back().state))
    return;
  auto xid = database_.begin();
  database_.append(xid, *batch, core::State::expired, " {" + database_.count(*batch).json() + "}");
  database_.commit(xid);
  tell(xid);
}

// --- workers ----------------------------------------------------------------------------------------------

/// A job that workers may have, of batches, or made by them.
std::optional<Uuid> Run::some_job_of_batches() {
  std::vector<Uuid> open;
  auto note = [&](const Uuid &job) {
    if (!core::is_ending(database_.history(job).back().state))
      open.push_back(job);
  };
  for (const Uuid &batch : database_.batches()) {
    for (const Uuid &job : database_.jobs_in(batch))
      note(job);
    for (const Uuid &job : database_.ready_jobs_of(batch))
      note(job);
  }
  return open.empty() ? std::nullopt : std::optional(one_of(world_, open));
}

/// Before a worker ends a job of a batch, in the same transaction: a job of the next phase, mostly where that
/// has none.
void Run::add_next_phase(std::uint64_t xid, const Uuid &job) {
  auto batch = database_.batch_of(job);
  if (!batch || core::is_ending(database_.history(*batch).back().state) || database_.locked(*batch))
    return;
  int next = database_.phase_of(job) + 1;
  if (next == 0 || next >= database_.phases_of(*batch))
    return;
  bool is_empty = database_.count(*batch).phases[static_cast<std::size_t>(next)].total == 0;
  if (!world_.chance(is_empty ? 0.5 : 0.1))
    return;
  auto random = world_.ten();
  random[3] = batch->raw()[9], random[8] = batch->raw()[14], random[9] = batch->raw()[15];
  database_.add_to_batch(xid, *batch, Uuid::v7(service_.database_ms(), 1, random), next,
                         service_.database_ms());
}

/// As await.hint() says it, of all that a transaction has written.
void Run::tell(std::uint64_t xid) {
  for (const auto &[id, seq] : database_.written_by(xid)) {
    if (calm_ || world_.chance(0.8))
      seq > 1 ? hint(id, seq) : tell_user_of(id);
  }
}

/// As await.visit_batches(), whose callers publish no hints: in calm weather they do, as all is fast then.
void Run::visit_batches() {
  world_.after(kVisitMs, [this] { visit_batches(); });
  if (weather_.away || weather_.stalled)
    return;
  for (const Uuid &batch : database_.batches()) {
    auto xid = database_.begin();
    database_.visit(xid, batch);
    database_.commit(xid);
    if (calm_)
      tell(xid);
  }
}

// --- what must be -----------------------------------------------------------------------------------------

/// A batch ends once; it is ready if and when all its jobs have ended; then it has its job, once.
void Run::check_batches() {
  for (const Uuid &batch : database_.batches()) {
    auto say = [&](const char *what) {
      world_.violated("P2", "batch " + batch.text().substr(24) + " " + what);
    };
    auto entries = database_.history(batch);
    auto endings =
        std::count_if(entries.begin(), entries.end(), [](auto &one) { return core::is_ending(one.state); });
    bool has_ended = core::is_ending(entries.back().state);
    if (endings > 1 || (endings == 1) != has_ended)
      say("does not end once");
    BatchCount now = database_.count(batch);
    bool is_ready = entries.back().state == core::State::completed;
    if (is_ready && (now.open > 0 || !database_.phases_had_jobs(now)))
      say("is ready too early");
    auto made = database_.ready_jobs_of(batch);
    if (made.size() > 1 || (made.size() == 1) != (is_ready && database_.wants_job(batch)))
      say("has not the job that it should have when it is ready");
    bool is_due = !has_ended && now.open == 0 && database_.phases_had_jobs(now) && !database_.is_busy(batch);
    auto &since = due_.try_emplace(batch, world_.now()).first->second;
    if (!is_due)
      since = world_.now();
    else if (world_.now() - since > kReadyMs)
      say("has no open job, and is not ready");
    bool is_open = now.open > 0 || std::any_of(made.begin(), made.end(), [this](const Uuid &job) {
                     return !core::is_ending(database_.history(job).back().state);
                   });
    if (has_ended && !is_open && !database_.is_busy(batch))
      settled_.try_emplace(batch, world_.now());
    else
      settled_.erase(batch);
  }
}

/// Adds what a batch with phases still lacks, so that it can end.
void Run::finish_batches() {
  for (const Uuid &batch : database_.batches()) {
    BatchCount now = database_.count(batch);
    if (core::is_ending(database_.history(batch).back().state) || now.open > 0)
      continue;
    auto empty = std::find_if(now.phases.begin(), now.phases.end(), [](auto &one) { return one.total == 0; });
    if (empty == now.phases.end())
      continue;
    auto xid = database_.begin();
    auto random = world_.ten();
    random[3] = batch.raw()[9], random[8] = batch.raw()[14], random[9] = batch.raw()[15];
    database_.add_to_batch(xid, batch, Uuid::v7(service_.database_ms(), 1, random),
                           static_cast<int>(empty - now.phases.begin()), service_.database_ms());
    database_.commit(xid);
    tell(xid);
  }
}

/// In calm weather nothing is left of what was not submitted; else a statement that removes it may be lost.
void Run::check_left_over() {
  if (!calm_)
    return;
  database_.purge_uploads();
  if (database_.staged() > 0)
    world_.violated("P8",
                    std::to_string(database_.staged()) + " jobs of batches are left that nobody submits");
  if (auto orphans = database_.orphans(); !orphans.empty())
    world_.violated("P8", "a large payload is left of " + orphans[0].text() + ", which is not there");
}

void Run::leave_batches(Node *node) {
  for (auto &one : batch_submitters_) {
    if (node == nullptr || one->node() == node)
      one->leave();
  }
  auto is_of = [node](auto &one) { return node == nullptr || one->node() == node; };
  std::erase_if(adders_, is_of);
  std::erase_if(cancellers_, is_of);
  for (auto &one : listers_) {
    if (node != nullptr && one->node() == node)
      one->disconnect();
  }
}

void Run::sweep_batches() {
  auto is_done = [](auto &one) { return one->done(); };
  std::erase_if(batch_submitters_, is_done);
  std::erase_if(adders_, is_done);
  std::erase_if(cancellers_, is_done);
  std::erase_if(listers_, is_done);
}

}  // namespace await::sim
