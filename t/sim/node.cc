#include "sim/node.h"

#include <algorithm>

namespace await::sim {

void Broker::publish(const Uuid &job, int seq) {
  if (weather_.bus_away)
    return;
  for (Node *node : nodes_) {
    int copies = world_.chance(weather_.hints_doubled) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (world_.chance(weather_.hints_lost))
        continue;
      world_.after(world_.between(0, weather_.hints_late_ms), [this, node, job, seq] {
        if (std::find(nodes_.begin(), nodes_.end(), node) != nodes_.end())
          node->hint(job, seq);
      });
    }
  }
}

void Broker::restarted() {
  for (Node *node : nodes_)
    node->subscribe_again();
}

Node::Node(World &w, Weather &air, Database &truth, Broker &broker)
    : world(w),
      weather(air),
      database(truth),
      broker_(broker),
      store(w, air, truth, [this] { connected(); }),
      hub(*this),
      intake(store, *this, *this, {.rows = 16}),
      retries(*this),
      jobs(store, *this, 4, 16),
      events(store, *this, 4, 16),
      reread(store, hub, {.few = 4, .slice = 6}) {
  broker_.join(*this);
  later(world.between(1, kRereadMs), [this] { tick(); });
}

Node::~Node() {
  *alive_ = false;
  broker_.part(*this);
}

void Node::hint(const Uuid &job, int seq) {
  if (subscribed_.contains(job.shard()))
    hub.hinted(job, seq);
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
    hub.subscribed(shard);
  });
}

void Node::wake() {
  if (std::exchange(woken_, true))
    return;
  later(0, [this] { run(); });
}

void Node::wake_in(std::int64_t ms) {
  later(ms, [this] { run(); });
}

void Node::run() {
  woken_ = false;
  intake.run(world.now());
  retries.run(world.now());
  jobs.run(world.now());
  events.run(world.now());
}

void Node::connected() {
  reread.reset();
  auto before = std::exchange(timeline_, database.timeline());
  if (before != 0 && before != timeline_)
    hub.history_changed();
  reread.run();
}

void Node::tick() {
  later(kRereadMs, [this] { tick(); });
  reread.run();
  hub.sweep();
}

}  // namespace await::sim
