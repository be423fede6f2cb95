#include "sim/users.h"

#include <algorithm>

namespace await::sim {
namespace {

constexpr int kPiece = 6;

std::string name(const Uuid &user) { return "user " + user.text().substr(35); }

}  // namespace

/// The server's side, as http/stream.cc has it.
struct UserClient::Stream {
  Stream(UserClient &to, Node &at)
      : client(to),
        node(at),
        place(to.user_, to.cursor_, "u"),
        watcher(at.user_desk, core::Callback<Result<const core::EventPage *>>::to<&Stream::got>(this)) {
    watcher.listen(client.user_);
    place.aim(node.timeline());
    watcher.need().id = client.user_;
    place.seek(watcher.need());
    watcher.look();
  }
  ~Stream() { *alive = false; }

  void got(Result<const core::EventPage *> page) {
    if (!page) {
      if (!open)
        client.service_.world.after(0, [&c = client, a = alive] {
          if (*a)
            c.disconnect();
        });
      return;
    }
    auto fit = place.fit(**page, node.timeline());
    place.seek(watcher.need());
    if (fit == core::Place::Fit::elsewhere) {
      watcher.restart();
      return;
    }
    bool first = !std::exchange(open, true);
    if (fit == core::Place::Fit::lost || first)
      send({place.cursor(), {}, 0, 0, fit == core::Place::Fit::lost, 0});
    place.advance(
        **page, [this] { return unsent <= kPiece; },
        [&](const core::Event &event) {
          send({place.cursor(), event.origin->job, event.seq, static_cast<std::uint64_t>(event.origin->eid),
                false, 0});
        });
    place.seek(watcher.need());
    if (unsent > kPiece)
      watcher.pause();
    auto [seen, last] = place.standing(**page);
    watcher.seen(seen, last);
  }

  void send(Message message) {
    message.timeline = node.timeline();
    ++unsent;
    auto &world = client.service_.world;
    last_sent = std::max(last_sent, world.now() + world.between(0, slow ? 60 : 2));
    world.after(last_sent - world.now(), [this, a = alive, message] {
      if (!*a)
        return;
      --unsent;
      if (unsent <= kPiece)
        watcher.resume();
      client.hear(message);
    });
  }

  UserClient &client;
  Node &node;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  core::Place place;
  core::Watcher<core::EventNeed> watcher;
  bool open = false;
  bool slow = client.service_.world.chance(0.1);
  int unsent = 0;
  std::int64_t last_sent = 0;
};

UserClient::UserClient(Service &service, const Uuid &user) : service_(service), user_(user) {}
UserClient::~UserClient() { *alive_ = false; }
Node *UserClient::node() const { return stream_ ? &stream_->node : nullptr; }

void UserClient::connect() {
  Node *to = service_.some_node();
  if (to == nullptr)
    come_back(100, 1000);
  else
    stream_ = std::make_unique<Stream>(*this, *to);
}

void UserClient::disconnect() {
  stream_.reset();
  come_back(1, 1500);
}

void UserClient::come_back(std::int64_t least_ms, std::int64_t most_ms) {
  if (std::exchange(coming_back_, true))
    return;
  service_.world.after(service_.world.between(least_ms, most_ms), [this, alive = alive_] {
    if (!*alive)
      return;
    coming_back_ = false;
    if (service_.closing) {
      come_back(1000, 2000);
      return;
    }
    ++service_.reconnects;
    connect();
  });
}

void UserClient::failed_over() {
  must_be_reset_ = must_be_reset_ || !since_.empty();
  since_.clear();
  had_.clear();
  at_.clear();
  waiting_.clear();
}

void UserClient::hear(const Message &message) {
  if (!message.cursor.empty())
    cursor_ = message.cursor;
  if (message.timeline != service_.database.timeline()) {
    must_be_reset_ = true;  // of a history that is no more; what it says now is undone
    since_.clear();
    return;
  }
  if (message.reset) {
    ++service_.resets;
    if (!must_be_reset_ && service_.database.timeline() == 1)
      service_.world.violated("P4", name(user_) + ": a reset that nothing explains");
    must_be_reset_ = false;
    since_.clear();
  }
  if (message.seq != 0) {
    check(message);
  } else if (since_.empty() && !must_be_reset_) {
    auto since = core::decode_since(message.cursor, message.timeline, user_);
    if (!since)
      service_.world.violated("P4", name(user_) + ": a primer's cursor that says nothing");
    else
      since_ = since->seen.text;
    had_.clear();
    at_.clear();
    waiting_.clear();
  }
}

void UserClient::check(const Message &message) {
  ++service_.delivered;
  auto say = name(user_) + ": event " + std::to_string(message.seq) + " of " + message.job.text().substr(24);
  if (must_be_reset_)
    service_.world.violated("P4", say + " continues a history that was undone, without a reset");
  auto all = due();
  if (auto at = all.find(message.uid);
      at == all.end() || at->second != std::make_pair(message.job, message.seq))
    service_.world.violated("P4", say + " is not due");
  if (!had_.insert(message.uid).second)
    service_.world.violated("P4", say + " comes twice");
  auto [at, fresh] = at_.try_emplace(message.job, message.seq);
  if (!fresh && message.seq != at->second + 1)
    service_.world.violated("P4", say + " comes where " + std::to_string(at->second + 1) + " was due");
  at->second = message.seq;
  waiting_.erase(message.uid);
}

std::map<std::uint64_t, std::pair<Uuid, int>> UserClient::due() const {
  std::map<std::uint64_t, std::pair<Uuid, int>> out;
  if (since_.empty())
    return out;
  Moment since(since_);
  for (const Uuid &job : service_.database.all()) {
    if (user_of(job) != user_)
      continue;
    for (const Entry &entry : service_.database.history(job)) {
      if (!since.sees(entry.xid))
        out.emplace(entry.uid, std::make_pair(job, entry.seq));
    }
  }
  return out;
}

bool UserClient::has_all() const {
  auto all = due();
  return stream_ && !since_.empty() &&
         std::all_of(all.begin(), all.end(), [this](const auto &one) { return had_.contains(one.first); });
}

void UserClient::check_wait() {
  auto now = service_.world.now();
  if (!stream_ || stream_->unsent > 0) {
    for (auto &[uid, since] : waiting_)
      since = now;
  }
  auto all = due();
  // a crowd comes piece by piece: the bound counts from where the last piece begins
  if (std::exchange(knew_, had_.size()) < had_.size() && had_.size() + Database::kUserPage / 2 < all.size())
    waiting_.clear();
  for (const auto &[uid, what] : all) {
    if (had_.contains(uid))
      continue;
    auto &since = waiting_.try_emplace(uid, now).first->second;
    if (now - std::max(since, service_.weather.trouble_until) > service_.bound_ms)
      service_.world.violated("P3", name(user_) + " has not heard of event " + std::to_string(what.second) +
                                        " of " + what.first.text().substr(24) + " for " +
                                        std::to_string(now - since) + " ms");
  }
}

}  // namespace await::sim
