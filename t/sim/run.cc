#include "sim/run.h"

#include <algorithm>

namespace await::sim {
namespace {

constexpr std::size_t kClients = 60;
constexpr std::size_t kOpenJobs = 40;
constexpr std::size_t kForEver = 8;  // sessions that watch users and topics
constexpr int kTopics = 4;

template <class T>
T &one_of(World &world, std::vector<T> &all) {
  return all[static_cast<std::size_t>(world.between(0, static_cast<int>(all.size()) - 1))];
}

}  // namespace

std::string Totals::text() const {
  return std::to_string(steps) + " steps, " + std::to_string(virtual_ms / 1000) + " s of virtual time, " +
         std::to_string(jobs) + " jobs, " + std::to_string(delivered) + " events and " +
         std::to_string(answers) + " answers delivered, " + std::to_string(reconnects) + " reconnects, " +
         std::to_string(resets) + " resets, " + std::to_string(ended) + " ended by revocation, " +
         std::to_string(tickets) + " tickets, " + std::to_string(poisoned) + " bad values, " +
         std::to_string(purged) + " purged, " + std::to_string(batches) + " batches of which " +
         std::to_string(ready) + " were ready, " + std::to_string(faults) + " faults";
}

Run::Run(std::uint64_t seed, std::uint64_t steps)
    : world_(seed),
      steps_(steps),
      calm_(seed % 4 == 0),
      few_shards_(seed % 4 != 0 || seed % 8 == 0),
      failovers_(!calm_ && seed % 3 == 0),
      pooled_(!calm_ && seed % 5 < 2) {
  // calm: a hint may be 200 ms ahead of its commit, and the tries after it are up to 250 ms apart
  // A client that shares a read with a bad value waits while the batch is halved, up to six times. Each takes
  // as long as a read: that of usual(), or in other weather up to 100 ms; longer ones count as a fault.
  service_.bound_ms = calm_ ? (few_shards_ ? 500 + 6 * 20 : 900 + 6 * 90) : Node::kRereadMs + 600 + 6 * 100;
  weather_ = usual();
  service_.nodes.resize(kNodes);
  for (auto &node : service_.nodes)
    node = start_node();
  trouble(2000);  // they are starting
}

/// In calm weather the ways differ in length, so that everything may overtake everything.
Weather Run::usual() const {
  Weather weather;
  if (calm_)
    weather.latency_ms = few_shards_ ? 20 : 90, weather.hints_late_ms = few_shards_ ? 40 : 120;
  weather.pooled = pooled_;
  return weather;
}

std::string Run::go(Totals &totals) {
  act();
  visit_batches();
  check();
  while (!world_.broken() && world_.steps() < steps_)
    world_.step();
  acting_ = false;
  if (!world_.broken())
    rest();
  totals.steps += world_.steps();
  totals.virtual_ms += world_.now();
  totals.jobs += service_.accepted.size();
  for (const Uuid &batch : database_.batches()) {
    ++totals.batches;
    totals.ready += database_.history(batch).back().state == core::State::completed ? 1 : 0;
  }
  totals.delivered += service_.delivered;
  totals.answers += service_.answers;
  totals.reconnects += service_.reconnects;
  totals.resets += service_.resets;
  totals.faults += faults_;
  totals.ended += service_.ended;
  totals.tickets += tickets_used_;
  totals.poisoned += service_.poisoned;
  totals.purged += purged_;
  std::string violation = world_.violation();
  holds_.clear();
  sessions_.clear();
  submitters_.clear();
  batch_submitters_.clear();
  adders_.clear();
  cancellers_.clear();
  listers_.clear();
  tickets_.clear();
  poisoners_.clear();
  return violation;
}

std::vector<std::string> Run::report() const { return {world_.said().begin(), world_.said().end()}; }

/// Something happens every few milliseconds.
void Run::act() {
  if (!acting_)
    return;
  world_.after(world_.between(1, 30), [this] { act(); });
  sweep();
  double dice = world_.unit();
  if (dice < 0.20)
    submit();
  else if (dice < 0.27)
    act_on_batches();
  else if (dice < 0.65)
    work();
  else if (dice < 0.85)
    watch();
  else if (dice < 0.88 && !sessions_.empty())
    leave();
  else if (dice < 0.90 && !holds_.empty())
    one_of(world_, holds_)->disconnect();
  else if (dice < 0.91 && !calm_)
    strike();
  else if (dice < 0.96)
    publish();
  else if (dice < 0.965)
    revoke();
  else if (dice < 0.975)
    show_ticket();
  else if (dice < 0.977)
    poison();
  else if (dice < 0.987)
    purge();
  else if (dice < 0.988 && !weather_.away)
    backup_ = database_;
}

/// A client disconnects for a while, or for good.
void Run::leave() {
  auto &session = one_of(world_, sessions_);
  if (session->lives_for_ever() && world_.chance(0.1))
    sessions_.erase(sessions_.begin() + (&session - sessions_.data()));
  else
    session->disconnect();
}

void Run::submit() {
  Node *node = service_.some_node();
  if (node == nullptr || open_.size() >= kOpenJobs)
    return;
  int n = static_cast<int>(world_.chance(0.1) ? world_.between(5, 40) : 1);
  for (int i = 0; i < n; ++i) {
    ++made_;
    open_.push_back(new_id());
    submitters_.push_back(std::make_unique<Submitter>(service_, *node, open_.back(), world_.chance(0.03),
                                                      world_.chance(0.4), world_.chance(0.05)));
    if (world_.chance(0.05))
      submitters_.back()->leave();
  }
}

/// A worker, or another writer of a job's history.
void Run::work() {
  if (weather_.away || weather_.stalled)
    return;
  if (auto job = world_.chance(0.4) ? some_job_of_batches() : std::nullopt) {
    if (!database_.locked(*job))
      work_on(*job);
    return;
  }
  if (open_.empty())
    return;
  auto at = world_.between(0, static_cast<int>(open_.size()) - 1);
  Uuid job = open_[static_cast<std::size_t>(at)];
  auto entries = database_.history(job);
  if (database_.locked(job) || (entries.empty() && world_.chance(0.9)))
    return;
  if (entries.empty() || core::is_ending(entries.back().state)) {
    open_.erase(open_.begin() + at);  // or it was never stored
    return;
  }
  work_on(job);
}

/// Its next event; that a worker loses its lease is one of them. Of jobs in batches most go on to their end.
void Run::work_on(const Uuid &job) {
  auto from = database_.history(job).back().state;
  bool in_batch = database_.batch_of(job).has_value();
  if (from == core::State::processing && world_.chance(in_batch ? 0.2 : 0.85)) {
    advance(job, from);  // progress
    return;
  }
  auto to = static_cast<core::State>(world_.between(0, 5));
  if (in_batch && world_.chance(0.7))
    to = from == core::State::pending ? core::State::processing : core::State::completed;
  if (core::may_follow(from, to) && (!core::is_ending(to) || database_.may_end(job)))
    advance(job, to);
}

void Run::advance(const Uuid &job, core::State to) {
  auto xid = database_.begin();
  if (core::kind_of(job) == core::Kind::job && core::is_ending(to))
    add_next_phase(xid, job);
  int seq = database_.append(xid, job, to);
  double dice = calm_ ? 0.3 : world_.unit();
  bool early = world_.chance(0.15);  // a hint ahead of its commit
  auto takes = dice < 0.9 ? world_.between(0, 5) : world_.between(100, 6000);
  if (early)
    takes = std::min<std::int64_t>(takes, 200);
  if (early)
    broker_.publish(job, seq);  // the user's channel gets a hint again after the commit
  world_.after(takes, [this, xid, job, seq, to, early] {
    if (!database_.running(xid))
      return;  // the server has crashed meanwhile
    if (!calm_ && world_.chance(0.03)) {
      database_.abort(xid);
      return;
    }
    database_.commit(xid);
    world_.say(job.text().substr(24) + " stands at " + std::to_string(seq));
    if (core::is_ending(to) && !database_.is_of_batch(job))
      ended_.emplace_back(job, world_.now());
    if (early && calm_)
      tell_user_of(job);
    if (!early && (calm_ || world_.chance(0.8)))
      hint(job, seq);
    if (database_.batch_of(job))
      tell(xid);
    if (!calm_ && world_.chance(0.01))
      broker_.publish(job, 1000000);  // forged
  });
}

/// As await.hint() says it.
void Run::hint(const Uuid &id, int seq) {
  broker_.publish(id, seq);
  tell_user_of(id);
}

void Run::tell_user_of(const Uuid &id) {
  if (core::ends(core::kind_of(id)))
    broker_.publish(user_of(id), 0);
}

/// await.publish(): a topic is there with its first event.
void Run::publish() {
  if (weather_.away || weather_.stalled)
    return;
  Uuid topic = topic_id(static_cast<std::uint8_t>(world_.between(0, kTopics - 1)));
  if (database_.locked(topic))
    return;
  if (!database_.has(topic)) {
    auto xid = database_.begin();
    database_.insert(xid, topic);
    database_.commit(xid);
  }
  int n = static_cast<int>(world_.chance(0.1) ? world_.between(2, 2 * Database::kTopicKept) : 1);
  for (; n > 1; --n) {
    auto xid = database_.begin();
    database_.append(xid, topic, core::State::processing);
    database_.commit(xid);
  }
  advance(topic, core::State::processing);
}

/// Channels that a client may watch; none where there is nothing yet.
std::vector<std::unique_ptr<Follower>> Run::channels(bool several) {
  std::vector<std::unique_ptr<Follower>> out;
  auto most = several ? world_.between(2, 4) : 1;
  for (std::int64_t i = 0; i < most; ++i) {
    double dice = world_.unit();
    if (dice < 0.2) {
      auto user = user_id(static_cast<std::uint8_t>(world_.between(0, Database::kUsers - 1)));
      out.push_back(std::make_unique<UserFollower>(service_, user));
    } else if (dice < 0.35) {
      auto topic = topic_id(static_cast<std::uint8_t>(world_.between(0, kTopics - 1)));
      out.push_back(std::make_unique<HistoryFollower>(service_, topic));
    } else if (auto job = world_.chance(0.3) ? some_batch() : some_job()) {
      out.push_back(std::make_unique<HistoryFollower>(service_, *job));
    }
    bool twice = std::any_of(out.begin(), out.end() - (out.empty() ? 0 : 1),
                             [&](auto &one) { return one->id() == out.back()->id(); });
    if (twice)
      out.pop_back();
  }
  return out;
}

/// Mostly a young one, sometimes an old one.
std::optional<Uuid> Run::some_job() {
  auto n = static_cast<std::int64_t>(service_.accepted.size());
  if (n == 0)
    return std::nullopt;
  auto at = world_.between(std::max<std::int64_t>(0, n - (world_.chance(0.5) ? 4 : 40)), n - 1);
  if (world_.chance(0.1))
    at = world_.between(0, n - 1);
  const Uuid &job = service_.accepted[static_cast<std::size_t>(at)];
  return database_.has(job) ? std::optional(job) : std::nullopt;  // a failover has lost it, as was said
}

void Run::watch() {
  if (holds_.size() + sessions_.size() >= kClients)
    return;
  double dice = world_.unit();
  auto job = dice >= 0.25 ? std::nullopt : world_.chance(0.4) ? some_batch() : some_job();
  if (job) {
    holds_.push_back(std::make_unique<HoldClient>(service_, *job));
    holds_.back()->start();
    return;
  }
  bool several = dice > 0.7;
  auto kind = several || dice < 0.5 ? Session::Kind::stream : Session::Kind::pages;
  if (world_.chance(several ? 0.5 : 0.1))
    kind = Session::Kind::socket;
  auto followers = channels(several);
  if (followers.empty())
    return;
  if (kind == Session::Kind::pages && followers[0]->kind() == core::Kind::user)
    kind = Session::Kind::stream;  // from a page it would not know from when on it is owed everything
  auto session = std::make_unique<Session>(service_, kind, std::move(followers));
  auto for_ever =
      std::count_if(sessions_.begin(), sessions_.end(), [](auto &one) { return one->lives_for_ever(); });
  if (session->lives_for_ever() && static_cast<std::size_t>(for_ever) >= kForEver)
    return;
  sessions_.push_back(std::move(session));
  sessions_.back()->start();
}

/// Removes the clients that have received everything.
void Run::sweep() {
  std::erase_if(holds_, [this](const auto &hold) {
    return hold->done() || (!database_.has(hold->job()) && !database_.is_purged(hold->job()));
  });
  std::erase_if(sessions_, [](const auto &session) { return session->done() || session->is_lost(); });
  sweep_tickets();
  sweep_batches();
  std::erase_if(submitters_, [](const auto &submitter) { return submitter->done(); });
}

/// Ten times a second: checks that no client waits for longer than the bound, and that none was forgotten.
void Run::check() {
  world_.after(100, [this] { check(); });
  if (weather_.away || weather_.stalled || weather_.failing > 0 || weather_.latency_ms > 100)
    trouble(1500);
  for (auto &hold : holds_)
    hold->check_wait();
  for (auto &session : sessions_)
    session->check_wait();
  for (auto &submitter : submitters_)
    submitter->check_wait();
  for (auto &submitter : batch_submitters_)
    submitter->check_wait();
  for (auto &lister : listers_)
    lister->check_wait();
  check_batches();
  check_revoked();
}

/// The weather clears. Clients keep watching and nothing is written: then only the periodic read may query
/// the database. At last every job ends, and every client must have been notified.
void Run::rest() {
  world_.run(20'000);  // faults under way come to their end
  heal();
  world_.run(10'000);
  service_.closing = true;  // no client reconnects, because that would cause reads
  world_.run(2'000);
  std::uint64_t before = 0;
  for (auto &node : service_.nodes)
    before += node ? node->reads() : 0;
  std::uint64_t watched = 0;
  for (auto &node : service_.nodes)
    watched += node ? node->hub.jobs() : 0;
  world_.run(8'000);
  std::uint64_t after = 0;
  for (auto &node : service_.nodes)
    after += node ? node->reads() : 0;
  // two or three looks a node, each in slices of six, and as many for revocations; the held requests whose
  // time ends read once
  std::uint64_t most = kNodes * 6 + 3 * (watched / 6 + kNodes) + holds_.size() + 3 * kForEver;
  if (after - before > most)
    world_.violated("P8", std::to_string(after - before) + " reads in 8 quiet seconds, for " +
                              std::to_string(watched) + " watched jobs");
  service_.closing = false;
  for (auto &hold : holds_) {
    if (!hold->done())
      hold->disconnect();
  }
  for (auto &session : sessions_) {
    if (!session->done())
      session->disconnect();
  }
  for (int i = 0; i <= 3; ++i) {  // phase by phase
    finish_jobs();
    finish_batches();
  }
  world_.run(40'000);
  for (auto &hold : holds_) {
    if (!hold->done() && database_.has(hold->job()))
      world_.violated("P4",
                      hold->job().text().substr(24) + " has ended, and who held for it never heard of it");
  }
  for (auto &session : sessions_) {
    if (!session->has_all() && !session->is_lost())
      world_.violated("P4", "somebody who watches " + session->name() + " has not got everything");
  }
  for (const Uuid &id : service_.accepted) {
    if (!database_.has(id))
      world_.violated("P1", id.text().substr(24) + " was accepted and is gone");
  }
  for (const Uuid &batch : database_.batches()) {
    if (!core::is_ending(database_.history(batch).back().state))
      world_.violated("P2", "batch " + batch.text().substr(24) + " does not end");
  }
  for (const Uuid &id : service_.accepted_batches) {
    if (!database_.has(id))
      world_.violated("P1", "batch " + id.text().substr(24) + " was accepted and is gone");
  }
  if (!world_.broken())
    tear_down();
}

void Run::finish_jobs() {
  for (const Uuid &job : database_.all()) {
    while (database_.has(job) && database_.may_end(job) &&
           !core::is_ending(database_.history(job).back().state)) {
      bool pending = database_.history(job).back().state == core::State::pending;
      auto xid = database_.begin();
      int seq = database_.append(xid, job, pending ? core::State::processing : core::State::completed);
      database_.commit(xid);
      hint(job, seq);
      tell(xid);
    }
  }
}

/// All clients disconnect: nothing may be left of them.
void Run::tear_down() {
  sweep();
  holds_.clear();
  sessions_.clear();
  tickets_.clear();
  poisoners_.clear();
  for (auto &submitter : submitters_)
    submitter->leave();
  submitters_.clear();
  leave_batches(nullptr);
  sweep_batches();
  listers_.clear();
  world_.run(5'000);
  check_left_over();
  for (auto &node : service_.nodes) {
    if (node && (node->hub.listeners() != 0 || node->hub.jobs() != 0))
      world_.violated(
          "P8", std::to_string(node->hub.listeners()) + " listeners are left of clients that have gone");
    if (node && !node->submit_batcher.idle())
      world_.violated("P8", "submissions are left of clients that have gone");
  }
}

}  // namespace await::sim
