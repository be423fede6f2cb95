// Access: revocations, tickets that are used twice, and clients that send values that the database rejects.

#include <algorithm>

#include "sim/run.h"

namespace await::sim {
namespace {

constexpr std::int64_t kForgetMs = 30'000;

}  // namespace

std::unique_ptr<Node> Run::start_node() {
  return std::make_unique<Node>(world_, weather_, database_, broker_,
                                [this](Node &node, const std::string &owner) { end_all_of(node, owner); });
}

/// As a caller of await.revoke(), which may publish the hint after the commit, or not.
void Run::revoke() {
  if (weather_.away || weather_.stalled)
    return;
  Uuid user = user_id(static_cast<std::uint8_t>(world_.between(0, Database::kUsers - 1)));
  auto xid = database_.begin();
  database_.revoke(xid, user, service_.database_ms());
  world_.after(world_.between(0, 5), [this, xid, user] {
    if (!database_.running(xid))
      return;
    database_.commit(xid);
    service_.revoked[user] = {world_.now(), service_.revoked[user].second + 1};
    if (calm_ || world_.chance(0.5))
      broker_.publish_revoked();
  });
}

void Run::end_all_of(Node &node, const std::string &owner) {
  auto user = Uuid::parse(owner);
  int times = ++node.ended[*user];
  if (times > service_.revoked[*user].second && database_.timeline() == 1)
    world_.violated("P7", "user " + owner.substr(35) + " was ended more often than revoked");
  for (auto &session : sessions_) {
    if (session->node() == &node && session->is_of(*user))
      ++service_.ended, session->disconnect();
  }
  for (auto &hold : holds_) {
    if (hold->node() == &node && user_of(hold->job()) == *user)
      ++service_.ended, hold->disconnect();
  }
}

/// Connections that existed when the revocation was committed must have ended.
void Run::check_revoked() {
  for (const auto &[user, when] : service_.revoked) {
    auto late = world_.now() - std::max(when.first, weather_.trouble_until) > service_.bound_ms;
    auto check = [&, at = when.first, who = user](Node *node, std::int64_t began) {
      if (late && node != nullptr && began < at)
        world_.violated("P7",
                        "a session of user " + who.text().substr(35) + " lives on after its revocation");
    };
    for (auto &session : sessions_) {
      if (session->is_of(user))
        check(session->node(), session->began());
    }
    for (auto &hold : holds_) {
      if (user_of(hold->job()) == user)
        check(hold->node(), hold->began());
    }
  }
}

void Run::show_ticket() {
  auto random = world_.ten();
  for (int n = 0; n < 3; ++n, ++random[0]) {
    tickets_.push_back(std::make_unique<ShownTicket>(service_, Uuid::v7(service_.database_ms(), 0, random)));
    ++tickets_used_;
    for (bool first : {true, false})
      world_.after(world_.between(0, 3),
                   [this, shown = tickets_.back().get(), alive = tickets_.back()->alive, first] {
                     if (*alive)
                       shown->show(first ? shown->first : shown->second);
                   });
  }
}

/// Removes tickets and others that will not be answered any more.
void Run::sweep_tickets() {
  std::erase_if(tickets_, [this](const auto &shown) { return world_.now() - shown->began > kForgetMs; });
  std::erase_if(poisoners_, [this](const auto &one) { return world_.now() - one->began() > kForgetMs; });
}

void Run::poison() {
  poisoners_.push_back(std::make_unique<Poisoner>(service_));
  poisoners_.back()->strike();
}

}  // namespace await::sim
