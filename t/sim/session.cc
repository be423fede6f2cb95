#include "sim/session.h"

#include <algorithm>

#include "core/multi_cursor.h"
#include "core/multi_subscription.h"
#include "sim/poison.h"
#include "sim/wire.h"

namespace await::sim {

namespace {

std::uint64_t uid_of(const core::EventPage &page, const core::Event &event) {
  if (event.origin)
    return static_cast<std::uint64_t>(event.origin->eid);
  return std::stoull(event.seq == 1 ? *page.correlation_id : *event.data);
}

Uuid job_of(const core::EventPage &page, const core::Event &event) {
  return event.origin ? event.origin->job : page.job;
}

}  // namespace

/// The server's side, and the wire between.
struct Session::Connection {
  Connection(Session &to, Node &from) : client(to), node(from), wire(node.world) {}
  virtual ~Connection() = default;

  void say(Follower &follower, std::string cursor, bool reset, bool mixed = false) {
    send(follower, {std::move(cursor), {}, 0, 0, reset, 0, {}}, mixed);
  }
  void tell(Follower &follower, std::string cursor, const core::EventPage &page, const core::Event &event,
            bool mixed = false) {
    send(follower,
         {std::move(cursor), job_of(page, event), event.seq, uid_of(page, event), false, 0,
          Told::in(event.data.value_or(""))},
         mixed);
  }
  void send(Follower &follower, Message message, bool mixed) {
    message.timeline = node.timeline();
    wire.send(
        [this, to = &follower, message = std::move(message), mixed] { client.hear(*to, message, mixed); });
  }
  /// Whether the server has told the client that the job of this one has ended, and watches it no more. If a
  /// failover undoes that ending, the client hears of it when it asks again.
  virtual bool has_ended(const Follower &) const { return false; }
  /// After what was sent.
  void end() {
    wire.send([this] { client.over(); });
  }
  /// Without a word.
  void drop() {
    wire.after(0, [this] { client.disconnect(); });
  }

  Session &client;
  Node &node;
  Wire wire;
};

/// An event stream, as in http/live/sse_stream.cc.
struct Session::Stream : Connection, private core::MultiSubscription::Reader {
  Stream(Session &to, Node &from, const std::string &cursor)
      : Connection(to, from),
        subscriptions(*this, node.services(to.followers_[0]->id()), to.followers_[0]->source(cursor)) {
    for (auto at = to.followers_.begin() + 1; at != to.followers_.end(); ++at)
      subscriptions.add(node.services((*at)->id()), (*at)->source(cursor));
    wire.room = [this] { subscriptions.resume(); };
    subscriptions.start(true, true);
  }

  bool on_ready() override {
    if (subscriptions.all([](const core::MultiSubscription::Part &part) { return part.knew; })) {
      end();
      subscriptions.leave();
      return false;
    }
    bool mixed = !subscriptions.is_alone();
    std::string cursor = subscriptions.cursor();
    for (auto &follower : client.followers_) {
      if (mixed ? core::cursor_for(follower->id(), cursor) != "." : !subscriptions.first().lost)
        say(*follower, cursor, false, mixed);
    }
    return true;
  }
  void on_gap(core::MultiSubscription::Part &part) override {
    say(follower_of(part), subscriptions.cursor(), true, !subscriptions.is_alone());
  }
  bool can_deliver() const override { return !wire.full(); }
  void on_events(core::MultiSubscription::Part &part, const core::EventPage &page) override {
    part.position().advance(
        page, [this] { return !wire.full(); },
        [&](const core::Event &event) {
          tell(follower_of(part), subscriptions.cursor(), page, event, !subscriptions.is_alone());
        });
    if (wire.full())
      part.pause();
  }
  void on_flush() override {}
  void on_end() override {
    end();
    subscriptions.leave();
  }
  void on_error(const Error &error) override {
    Poisoner::must_be_innocent(client.service_, error);
    if (error.code == Code::not_found)
      drop();
    else
      end();  // retry:
  }
  std::optional<std::string_view> owner() const override { return std::nullopt; }

  Follower &follower_of(const core::Subscription &subscription) {
    auto at = std::find_if(client.followers_.begin(), client.followers_.end(),
                           [&](auto &one) { return one->id() == subscription.id(); });
    return **at;
  }

  core::MultiSubscription subscriptions;
};

/// A client of event pages, as in http/live/events_page.cc.
struct Session::Pages : Connection, private core::Subscription::Reader {
  Pages(Session &to, Node &from, const std::string &cursor)
      : Connection(to, from),
        subscription(*this, node.services(to.followers_[0]->id()), to.followers_[0]->source(cursor)) {
    subscription.start(true);
  }

  void on_page(core::Subscription &, const core::EventPage &page, bool lost) override {
    if (!lost && !subscription.position().has_news(page) && !core::is_ending(page.state)) {
      subscription.next(page);
      return;
    }
    Follower &follower = *client.followers_[0];
    say(follower, subscription.position().cursor(),
        lost);  // so that it knows from where on it is owed everything
    subscription.position().advance(
        page, [] { return true; },
        [&](const core::Event &event) { tell(follower, subscription.position().cursor(), page, event); });
    end();
    subscription.leave();
  }
  void on_error(core::Subscription &, const Error &error) override {
    Poisoner::must_be_innocent(client.service_, error);
    if (error.code == Code::not_found)
      drop();
    else if (!subscription.known())
      end();
  }
  std::optional<std::string_view> owner() const override { return std::nullopt; }

  core::Subscription subscription;
};

/// A WebSocket, as in http/live/websocket.cc.
struct Session::Socket : Connection, private core::PartReader {
  struct Entry : core::SubscriptionPart {
    Entry(Socket &socket, Follower &to, std::string cursor)
        : SubscriptionPart(socket, socket.node.services(to.id()), to.source(std::move(cursor))),
          follower(to) {}
    Follower &follower;
  };

  Socket(Session &to, Node &from) : Connection(to, from) {
    wire.room = [this] { resume_parts(); };
    for (std::size_t i = 0; i < to.followers_.size(); ++i) {
      const std::string &own = to.cursors_[i];
      bool mixed = !to.mixed_.empty() && node.world.chance(0.5);  // it counts for each of them
      subscriptions.push_back(std::make_unique<Entry>(*this, *to.followers_[i], mixed ? to.mixed_ : own));
      subscriptions.back()->start(true);
    }
  }

  static Follower &follower_of(core::SubscriptionPart &part) { return static_cast<Entry &>(part).follower; }
  bool on_ready(core::SubscriptionPart &part, const core::EventPage &) override {
    if (!part.lost)
      say(follower_of(part), part.position().cursor(), false);
    return true;
  }
  bool on_gap(core::SubscriptionPart &part) override {
    say(follower_of(part), part.position().cursor(), true);
    return true;
  }
  bool can_deliver() const override { return !wire.full(); }
  void on_events(core::SubscriptionPart &part, const core::EventPage &page) override {
    core::Position &position = part.position();
    position.advance(
        page, [this] { return !wire.full(); },
        [&](const core::Event &event) { tell(follower_of(part), position.cursor(), page, event); });
    if (wire.full())
      part.pause();
  }
  bool is_complete(const core::SubscriptionPart &part) const override { return part.done; }
  void on_end(core::SubscriptionPart &part) override {
    ended.push_back(&follower_of(part));
    drop(part);
  }
  void on_flush() override {}
  void on_failure(core::SubscriptionPart &part, const Error &error) override {
    Poisoner::must_be_innocent(client.service_, error);
    if (error.code == Code::not_found)
      drop(part);
  }
  void resume_all() override {
    for (auto &one : subscriptions)
      one->resume();
  }
  std::optional<std::string_view> owner() const override { return std::nullopt; }
  bool has_ended(const Follower &follower) const override {
    return std::find(ended.begin(), ended.end(), &follower) != ended.end();
  }
  void drop(core::SubscriptionPart &part) {
    forget(part);
    std::erase_if(subscriptions, [&](auto &one) { return one.get() == &part; });
  }

  std::vector<std::unique_ptr<Entry>> subscriptions;
  std::vector<const Follower *> ended;
};

Session::Session(Service &service, Kind kind, std::vector<std::unique_ptr<Follower>> followers)
    : service_(service), kind_(kind), followers_(std::move(followers)), cursors_(followers_.size()) {}
Session::~Session() = default;

Node *Session::node() const { return connection_ ? &connection_->node : nullptr; }

bool Session::is_of(const Uuid &user) const {
  return std::any_of(followers_.begin(), followers_.end(), [&](auto &one) {
    return one->kind() == core::Kind::user ? one->id() == user
                                           : core::ends(one->kind()) && user_of(one->id()) == user;
  });
}

bool Session::is_lost() const {
  return std::any_of(followers_.begin(), followers_.end(),
                     [&](auto &one) { return core::ends(one->kind()) && !service_.database.has(one->id()); });
}

bool Session::lives_for_ever() const {
  return std::any_of(followers_.begin(), followers_.end(),
                     [](auto &one) { return !core::ends(one->kind()); });
}

std::string Session::name() const {
  std::string out;
  for (auto &follower : followers_)
    out += (out.empty() ? "" : ", ") + follower->name();
  return out;
}

bool Session::has_all() const {
  return done_ || (connection_ && std::all_of(followers_.begin(), followers_.end(),
                                              [](auto &one) { return one->has_all(); }));
}

void Session::failed_over() {
  for (auto &follower : followers_)
    follower->failed_over();
}

void Session::check_wait() {
  bool ready = connection_ && connection_->wire.idle();
  for (auto &follower : followers_) {
    if (!done_)
      follower->check_wait(ready && !connection_->has_ended(*follower));
  }
}

std::size_t Session::at(const Follower &follower) const {
  return static_cast<std::size_t>(
      std::find_if(followers_.begin(), followers_.end(), [&](auto &one) { return one.get() == &follower; }) -
      followers_.begin());
}

void Session::connect() {
  if (done_)
    return;
  Node *to = service_.some_node();
  if (to == nullptr) {
    comeback_.after(100, 1000);
    return;
  }
  began_ = service_.world.now();
  if (followers_.size() > 1 && knows_all() && service_.world.chance(0.3))
    kind_ = kind_ == Kind::stream ? Kind::socket : Kind::stream;
  if (kind_ == Kind::socket) {
    connection_ = std::make_unique<Socket>(*this, *to);
    return;
  }
  std::string cursor = cursor_for_stream();
  if (service_.world.chance(0.01) && to->timeline() != 0) {
    cursor = core::encode_cursor(to->timeline(), followers_[0]->id(), 100000);  // of a client that lies
    for (auto &follower : followers_)
      follower->excuse();  // of the others it says nothing
  }
  if (kind_ == Kind::stream)
    connection_ = std::make_unique<Stream>(*this, *to, cursor);
  else
    connection_ = std::make_unique<Pages>(*this, *to, cursor);
}

std::string Session::cursor_for_stream() const { return followers_.size() == 1 ? cursors_[0] : mixed_; }

bool Session::knows_all() const {
  return std::none_of(cursors_.begin(), cursors_.end(), [](auto &one) { return one.empty(); });
}

bool Session::done() const {
  return done_ || (kind_ == Kind::socket &&
                   std::all_of(followers_.begin(), followers_.end(), [](auto &one) { return one->done(); }));
}

void Session::disconnect() {
  connection_.reset();
  comeback_.after(1, 1500);
}

void Session::over() {
  if (service_.world.broken())
    return;
  done_ = std::all_of(followers_.begin(), followers_.end(), [](auto &one) { return one->done(); });
  connection_.reset();
  if (!done_)
    comeback_.after(kind_ == Kind::pages ? 0 : 10, kind_ == Kind::pages ? 20 : 1000);
}

void Session::hear(Follower &follower, Message message, bool mixed) {
  if (mixed) {
    mixed_ = message.cursor;
    for (std::size_t i = 0; i < followers_.size(); ++i) {
      std::string part = core::cursor_for(followers_[i]->id(), mixed_);
      if (followers_[i].get() == &follower)
        cursors_[i] = message.cursor = part;
      else if (message.seq != 0 && core::ends(followers_[i]->kind()) && part != cursors_[i] && part != ".")
        service_.world.violated("P4", "a cursor of several channels is ahead of what was given of one");
    }
  } else {
    cursors_[at(follower)] = message.cursor;
    mixed_ = knows_all() && followers_.size() > 1 ? core::join_cursors(cursors_) : "";
  }
  follower.hear(message);
}

}  // namespace await::sim
