#include "sim/node.h"

#include <algorithm>

namespace await::sim {

/// As await.hint() signs it, where the event is committed.
std::optional<Proof> Broker::prove(const Uuid &job, int seq) {
  for (Node *node : nodes_) {
    auto page = node->database.events(std::vector<core::EventQuery>{{job, seq - 1}});
    auto document = node->database.jobs(std::vector<core::JobQuery>{{job, core::ResultDetail::body}});
    if (document.empty() || page[0].events.empty() || page[0].events[0].seq != seq || page[0].last_seq != seq)
      return std::nullopt;
    return Proof{{document[0], page[0]}, node->database.timeline()};
  }
  return std::nullopt;
}

void Broker::publish(const Uuid &job, int seq) {
  if (weather_.bus_away)
    return;
  auto proof = world_.chance(0.5) ? prove(job, seq) : std::nullopt;
  for (Node *node : nodes_) {
    int copies = world_.chance(weather_.hints_doubled) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (world_.chance(weather_.hints_lost))
        continue;
      world_.after(world_.between(0, weather_.hints_late_ms), [this, node, job, seq, proof] {
        if (std::find(nodes_.begin(), nodes_.end(), node) == nodes_.end())
          return;
        if (proof)
          node->on_update(*proof);
        else
          node->hint(job, seq);
      });
    }
  }
}

void Broker::publish_revoked() {
  if (weather_.bus_away)
    return;
  for (Node *node : nodes_) {
    if (world_.chance(weather_.hints_lost))
      continue;
    world_.after(world_.between(0, weather_.hints_late_ms), [this, node] {
      if (std::find(nodes_.begin(), nodes_.end(), node) != nodes_.end())
        node->look_for_revoked();
    });
  }
}

void Broker::restarted() {
  for (Node *node : nodes_)
    node->subscribe_again();
}

Node::Node(World &w, Weather &air, Database &truth, Broker &broker,
           std::function<void(Node &, const std::string &)> end_all_of)
    : world(w),
      weather(air),
      database(truth),
      broker_(broker),
      end_all_of_(std::move(end_all_of)),
      store(w, air, truth, [this] { connected(); }),
      hub(*this, *this),
      submit_batcher(store, *this, *this, {.rows = 16}),
      retries(*this),
      jobs(store, *this, 4, 16),
      events(store, *this, 4, 16),
      user_events(store, *this, 2, 2),
      job_lists(store, *this, 2, 4),
      batch_lists(store, *this, 2, 4),
      reread(store, hub, {.few = 4, .slice = 1}) {
  broker_.join(*this);
  store.on_write = [this](std::uint64_t xid) { tell(xid); };
  later(world.between(1, kRereadMs), [this] { tick(); });
}

Node::~Node() {
  *alive_ = false;
  broker_.part(*this);
}

void Node::tell(std::uint64_t xid) {
  for (const auto &[id, seq] : database.written_by(xid)) {
    if (seq > 1)
      broker_.publish(id, seq);
    broker_.publish(user_of(id), 0);
  }
}

void Node::hint(const Uuid &job, int seq) {
  if (subscribed_.contains(job.shard()))
    hub.notify(job, seq);
}

void Node::on_update(const Proof &proof) {
  if (!subscribed_.contains(proof.update.job.id.shard()))
    return;
  if (proof.timeline == timeline_)
    hub.publish(proof.update);
  else
    hub.notify(proof.update.job.id, proof.update.page.last_seq);
}

void Node::subscribe_again() {
  subscribed_.clear();
  later(world.between(1, 200), [this] {
    for (unsigned shard : asked_)
      subscribe(shard);
  });
}

void Node::subscribe(unsigned shard) {
  asked_.insert(shard);
  later(world.between(0, weather.hints_late_ms), [this, shard] {
    if (weather.bus_away || !asked_.contains(shard))
      return;  // it will be asked for again when Redis is back
    subscribed_.insert(shard);
    hub.on_subscription(shard);
  });
}

void Node::run_soon() {
  if (std::exchange(woken_, true))
    return;
  later(0, [this] { run(); });
}

/// One timer, for what is due first.
void Node::run_after(std::int64_t ms) {
  if (ms <= 0) {
    run_soon();
    return;
  }
  auto due = world.now() + ms;
  if (wake_at_ > world.now() && wake_at_ <= due)
    return;
  wake_at_ = due;
  later(ms, [this, due] {
    if (wake_at_ == due)
      run();
  });
}

void Node::run() {
  woken_ = false;
  submit_batcher.run(world.now());
  ticket_batcher.run();
  retries.run(world.now());
  jobs.run(world.now());
  events.run(world.now());
  user_events.run(world.now());
  job_lists.run(world.now());
  batch_lists.run(world.now());
  hub.run();
}

void Node::connected() {
  reread.reset();
  look_at(database.timeline());
  reread.run();
  revocations.look();
}

/// As of http/runtime/backends.cc, which asks again with each re-read: the server may be another one.
void Node::on_greeting(const Result<std::uint32_t> &timeline) {
  if (!timeline || *timeline == timeline_)
    return;
  look_at(*timeline);
  reread.run();
  revocations.look();
}

void Node::look_at(std::uint32_t timeline) {
  keys_ = kKeys;
  auto before = std::exchange(timeline_, timeline);
  if (before != 0 && before != timeline_) {
    reread.reset();
    jobs.on_history_changed();
    events.on_history_changed();
    user_events.on_history_changed();
    job_lists.on_history_changed();
    batch_lists.on_history_changed();
    hub.on_history_changed();
  }
}

void Node::tick() {
  later(kRereadMs, [this] { tick(); });
  reread.run();
  if (!greeting_.waiting())
    store.hello(greeting_);
  revocations.look();
  hub.sweep();
}

}  // namespace await::sim
