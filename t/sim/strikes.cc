// What happens to the service of a run: outages, cuts, crashes, failovers.

#include "sim/run.h"

namespace await::sim {

void Run::trouble(std::int64_t ms) {
  weather_.trouble_until = std::max(weather_.trouble_until, world_.now() + ms);
}

void Run::strike() {
  ++faults_;
  auto lasts = world_.between(100, 8000);
  auto end = [this](std::int64_t ms, auto mend) {
    trouble(ms + 1500);  // and the time to find back
    world_.after(ms, mend);
  };
  auto lose_lines = [this] {
    for (auto &node : service_.nodes) {
      if (node)
        node->store.read.lose(), node->store.write.lose();
    }
  };
  switch (world_.between(0, failovers_ ? 11 : 8)) {
    case 0:
      world_.say("PostgreSQL restarts");
      weather_.away = true;
      database_.crash();
      lose_lines();
      return end(world_.chance(0.2) ? lasts * 6 : lasts, [this] { weather_.away = false; });
    case 1:
      world_.say("PostgreSQL stands still");
      weather_.stalled = true;
      return end(lasts * 2, [this] { weather_.stalled = false; });
    case 2:
      world_.say("PostgreSQL is slow");
      weather_.latency_ms = world_.between(10, 900);
      return end(lasts, [this] { weather_.latency_ms = 1; });
    case 3:
      world_.say("reads fail");
      weather_.failing = world_.unit() * 0.8;
      return end(lasts * 2, [this] { weather_.failing = 0; });
    case 4:
      world_.say("a line is cut");
      if (Node *node = service_.some_node())
        (world_.chance(0.5) ? node->store.read : node->store.write).lose();
      return trouble(1500);
    case 5:
      world_.say("Redis is away");  // not a fault: the bound holds without Redis
      weather_.bus_away = true;
      world_.after(lasts * 3, [this] {
        weather_.bus_away = false;
        broker_.restarted();
      });
      return;
    case 6:
      weather_.hints_lost = world_.chance(0.5) ? world_.unit() : 0;
      weather_.hints_doubled = world_.chance(0.5) ? world_.unit() : 0;
      weather_.hints_late_ms = world_.chance(0.5) ? world_.between(1, 3000) : 1;
      return;
    case 7:
      return crash(static_cast<std::size_t>(world_.between(0, kNodes - 1)));
    case 8:
      world_.say("statements are cancelled");
      weather_.cancelling = world_.unit() * 0.5;
      return end(lasts * 2, [this] { weather_.cancelling = 0; });
    default: {
      if (weather_.away)
        return;
      bool pooled = world_.chance(0.3);  // then the lines stay: the switch is seen by asking
      world_.say(pooled ? "a pooler points to another server"
                        : "a standby takes over, or a dump is restored");
      weather_.away = !pooled;
      database_.fail_over(
          static_cast<std::size_t>(world_.chance(0.2) ? world_.between(50, 500) : world_.between(0, 12)));
      if (!pooled)
        lose_lines();
      for (auto &hold : holds_)
        hold->failed_over();
      for (auto &session : sessions_)
        session->failed_over();
      service_.revoked.clear();  // they may be undone
      for (auto &submitter : submitters_)
        submitter->failed_over();
      std::erase_if(service_.accepted, [this](const Uuid &id) { return !database_.has(id); });
      return end(pooled ? Node::kRereadMs + 1000 : lasts, [this] { weather_.away = false; });
    }
  }
}

void Run::crash(std::size_t which) {
  Node *node = service_.nodes[which].get();
  if (node == nullptr)
    return;
  world_.say("a node crashes");
  for (auto &submitter : submitters_) {
    if (submitter->node() == node)
      submitter->leave();
  }
  for (auto &hold : holds_) {
    if (hold->node() == node)
      hold->disconnect();
  }
  for (auto &session : sessions_) {
    if (session->node() == node)
      session->disconnect();
  }
  service_.nodes[which].reset();
  trouble(0);
  world_.after(world_.between(1, 3000), [this, which] {
    service_.nodes[which] = start_node();
    trouble(1500);
  });
}

}  // namespace await::sim
