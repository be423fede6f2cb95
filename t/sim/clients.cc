#include "sim/clients.h"

#include <algorithm>

#include "sim/poison.h"

namespace await::sim {
namespace {

constexpr std::int64_t kPatienceMs = core::SubmitBatcher::Limits{}.patience_ms;

std::string name(const Uuid &job) { return job.text().substr(24); }

}  // namespace

// --- held requests ----------------------------------------------------------------------------------------

/// The server's side of a held poll, as in http/live/job_wait.cc and http/live/batch_wait.cc.
struct HoldClient::Request {
  Request(HoldClient &to, Node &at)
      : client(to),
        node(at),
        watcher(at.job_services, core::Callback<Result<const core::Job *>>::to<&Request::got>(this)) {
    auto &world = client.service_.world;
    auto wait = world.chance(0.3) ? 0 : world.between(100, 30000);
    over = wait == 0;
    if (!over)
      watcher.listen(client.job_);
    watcher.read().id = client.job_;
    bool is_batch = core::kind_of(client.job_) == core::Kind::batch;
    if (!is_batch && world.chance(0.5))
      watcher.read().cache = &node.cache;
    world.after(wait, [this, a = alive] {
      if (!*a || row_seq != 0)
        return;
      over = true;
      watcher.look();
    });
    watcher.restart();
  }
  ~Request() { *alive = false; }

  void got(Result<const core::Job *> job) {
    if (row_seq != 0)
      return;  // the batch is being read
    if (!job) {
      Poisoner::must_be_innocent(client.service_, job.error());
      if (!known || over)
        finish(nullptr);
      return;
    }
    known = true;
    const core::Job *found = *job;
    bool enough = found == nullptr || over || core::is_ending(found->state);
    if (enough && found != nullptr && core::kind_of(client.job_) == core::Kind::batch)
      read_batch(*found);
    else if (enough)
      finish(found);
    else
      watcher.seen(found->seq, found->seq);
  }

  /// Its row is enough: reads what its document has beyond that.
  void read_batch(const core::Job &row) {
    watcher.leave();
    row_seq = row.seq;
    auto &world = client.service_.world;
    if (world.chance(0.3)) {
      auto all = client.service_.database.jobs_in(client.job_);
      if (!all.empty())
        after = all[static_cast<std::size_t>(world.between(0, static_cast<int>(all.size()) - 1))];
    }
    limit = static_cast<int>(world.between(1, 50));
    node.store.batch(client.job_, batch_reply);
    node.store.jobs_of(client.job_, after, limit, jobs_reply);
  }
  void got_batch(Result<std::optional<core::Batch>> outcome) {
    if (outcome && *outcome)
      batch = std::move(*outcome);
    else
      finish(nullptr);
  }
  void got_jobs(Result<std::vector<core::Job>> jobs) {
    if (!jobs || !batch) {
      finish(nullptr);
      return;
    }
    client.answered_batch(*batch, *jobs);  // destroys this
  }

  void finish(const core::Job *job) {
    watcher.leave();
    client.answered(job);  // destroys this
  }

  HoldClient &client;
  Node &node;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  core::Watcher<core::JobRead> watcher;
  bool over = false;
  bool known = false;

  // of a batch
  int row_seq = 0;
  Uuid after;
  int limit = 0;
  std::optional<core::Batch> batch;
  core::Reply<std::optional<core::Batch>> batch_reply =
      core::Reply<std::optional<core::Batch>>::to<&Request::got_batch>(this);
  core::Reply<std::vector<core::Job>> jobs_reply =
      core::Reply<std::vector<core::Job>>::to<&Request::got_jobs>(this);
};

HoldClient::HoldClient(Service &service, const Uuid &job) : service_(service), job_(job) {}
HoldClient::~HoldClient() = default;
Node *HoldClient::node() const { return request_ ? &request_->node : nullptr; }

/// It is owed nothing but the ending.
void HoldClient::check_wait() {
  auto now = service_.world.now();
  auto entries = service_.database.history(job_);
  if (request_ && service_.database.is_purged(job_) &&
      now - std::max(began_, service_.weather.trouble_until) > service_.bound_ms)
    service_.world.violated("P3", name(job_) + " was purged, and who asks for it gets no answer");
  if (done_ || !request_ || entries.empty() || !core::is_ending(entries.back().state)) {
    owed_since_ = now;
    return;
  }
  auto since = std::max(owed_since_, service_.weather.trouble_until);
  if (now - since > service_.bound_ms)
    service_.world.violated("P3", name(job_) + " stands at " + std::to_string(entries.back().seq) +
                                      ", and who holds for its end is not told for " +
                                      std::to_string(now - since) + " ms");
}

void HoldClient::connect() {
  if (done_)
    return;
  began_ = owed_since_ = service_.world.now();
  Node *to = service_.some_node();
  if (to == nullptr)
    comeback_.after(100, 1000);
  else
    request_ = std::make_unique<Request>(*this, *to);
}

void HoldClient::disconnect() {
  request_.reset();
  comeback_.after(1, 1500);
}

void HoldClient::answered(const core::Job *job) {
  ++service_.answers;
  bool same_history = request_->node.timeline() == service_.database.timeline();
  if (service_.database.is_purged(job_)) {
    done_ = true;
  } else if (job != nullptr && same_history) {
    if (job->seq < seen_)
      service_.world.violated("P4", name(job_) + ": a document goes back from " + std::to_string(seen_) +
                                        " to " + std::to_string(job->seq));
    auto entries = service_.database.history(job_);
    bool real = std::any_of(entries.begin(), entries.end(), [&](const Entry &entry) {
      return entry.seq == job->seq && std::to_string(entry.uid) == job->correlation_id;
    });
    if (!real)
      service_.world.violated("P4", name(job_) + ": a document of a history that was undone");
    seen_ = job->seq;
    done_ = core::is_ending(job->state);
  }
  request_.reset();
  if (!done_)
    comeback_.after(10, 2000);
}

/// The document is not older than the row that was read before, and its totals go forward.
void HoldClient::answered_batch(const core::Batch &batch, const std::vector<core::Job> &jobs) {
  ++service_.answers;
  const Database &database = service_.database;
  const Request &request = *request_;
  if (request.node.timeline() == database.timeline() && !database.is_purged(job_) &&
      began_ >= database.timeline_began()) {
    auto say = [&](const char *what) { service_.world.violated("P4", "batch " + name(job_) + ": " + what); };
    Told told = Told::in(batch.totals);
    if (batch.seq < std::max(seen_, request.row_seq))
      say("a document goes back");
    if (told.total < told_.total || told.done < told_.done)
      say("the totals of a document go back");
    if (batch.state == core::State::completed && (told.done != told.total || told.total == 0))
      say("a document says that it is ready, and it is not");
    bool in_order = std::is_sorted(jobs.begin(), jobs.end(), [](auto &a, auto &b) { return a.id < b.id; });
    bool theirs = std::all_of(jobs.begin(), jobs.end(),
                              [&](auto &one) { return one.batch == job_.text() && one.id > request.after; });
    if (!in_order || !theirs || jobs.size() > static_cast<std::size_t>(request.limit))
      say("a document has other jobs than those of its page");
    if (request.after == Uuid() && static_cast<int>(jobs.size()) < std::min(told.total, request.limit))
      say("a document has fewer jobs than it counts");
    seen_ = batch.seq;
    told_ = told;
    done_ = core::is_ending(batch.state);
  }
  done_ = done_ || database.is_purged(job_);
  request_.reset();
  if (!done_)
    comeback_.after(10, 2000);
}

// --- submissions ------------------------------------------------------------------------------------------

Submitter::Submitter(Service &service, Node &node, const Uuid &id, bool poison, bool wait, bool large)
    : service_(service), node_(&node), poison_(poison), began_(service.world.now()) {
  submission_.job.id = id;
  submission_.job.queue = "work";
  submission_.job.payload = "x";
  if (poison)
    submission_.job.params = "poison";
  if (wait) {
    watcher_.emplace(node.job_services, core::Callback<Result<const core::Job *>>::to<&Submitter::got>(this));
    watcher_->listen(id);
    watcher_->read().id = id;
  }
  if (!large) {
    node.submit_batcher.add(submission_, service.world.now());
    return;
  }
  upload_ = std::make_unique<core::Upload>(node.store, id,
                                           core::Callback<Result<Done>>::to<&Submitter::on_upload>(this));
  upload_->append(std::string(core::Upload::kInline + 10, 'x'), core::Upload::kInline);
  upload_->finish();
}

Submitter::~Submitter() = default;

/// As in http/modules/submit.cc: what was uploaded for a job that was not sent is removed.
void Submitter::leave() {
  done_ = true;
  node_ = nullptr;
  watcher_.reset();
  submission_.unlink();
  if (upload_ && !submission_.may_be_stored())
    upload_->keep(false);
  upload_.reset();
}

void Submitter::on_upload(Result<Done> stored) {
  if (!stored) {
    leave();
  } else if (upload_->finished()) {
    upload_->keep(true);
    began_ = service_.world.now();
    node_->submit_batcher.add(submission_, began_);
  }
}

void Submitter::stored(Result<core::Submitted> outcome) {
  ++service_.answers;
  if (accepted_)
    service_.world.violated("P1", name(id()) + " was answered twice");
  if (!outcome) {
    if (outcome.error().code == Code::unavailable && service_.world.now() - began_ < kPatienceMs)
      service_.world.violated("P1", name(id()) + " was refused for what passes");
    if (outcome.error().code == Code::invalid && !poison_)
      service_.world.violated("P1", name(id()) + " was refused for its neighbour's fault");
    leave();
    return;
  }
  accepted_ = true;
  began_ = service_.world.now();
  if (outcome->id != id())
    service_.world.violated("P1", name(id()) + " got the answer of " + name(outcome->id));
  if (poison_)
    service_.world.violated("P1", name(id()) + " was accepted and cannot be stored");
  if (!service_.database.has(id()) && service_.database.timeline() == node_->timeline())
    service_.world.violated("P1", name(id()) + " was accepted and is not stored");
  service_.accepted.push_back(id());
  node_->tell_user_of(id());
  if (watcher_)
    watcher_->restart();
  else
    leave();
}

void Submitter::got(Result<const core::Job *> job) {
  bool same_history = service_.database.timeline() == node_->timeline();
  if (!job)
    Poisoner::must_be_innocent(service_, job.error());
  if (job && *job == nullptr && same_history)
    service_.world.violated("P1", name(id()) + " was accepted and is not found");
  if (!job || *job == nullptr || core::is_ending((*job)->state))
    leave();
  else
    watcher_->seen((*job)->seq, (*job)->seq);
}

void Submitter::check_wait() {
  auto now = service_.world.now();
  auto since = std::max(began_, service_.weather.trouble_until);
  // whatever the trouble: patience, and the time-out of a statement or two
  if (!done_ && !accepted_ && (now - since > 4000 || now - began_ > 25000))
    service_.world.violated("P1", name(id()) + " gets no answer for " + std::to_string(now - began_) + " ms");
  if (done_ || !accepted_)
    return;
  auto entries = service_.database.history(id());
  if (entries.empty() || !core::is_ending(entries.back().state))
    began_ = now;
  else if (now - since > service_.bound_ms)
    service_.world.violated("P3", name(id()) + " has ended, and who waits with its POST is not told");
}

}  // namespace await::sim
