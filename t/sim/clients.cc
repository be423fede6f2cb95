#include "sim/clients.h"

#include <algorithm>

namespace await::sim {
namespace {

constexpr int kPiece = 6;  // so many events a client is sent before it has taken some

std::string name(const Uuid &job) { return job.text().substr(24); }

}  // namespace

Node *Service::some_node() {
  std::vector<Node *> up;
  for (auto &node : nodes) {
    if (node)
      up.push_back(node.get());
  }
  return up.empty() ? nullptr
                    : up[static_cast<std::size_t>(world.between(0, static_cast<int>(up.size()) - 1))];
}

void Client::come_back(std::int64_t least_ms, std::int64_t most_ms) {
  if (std::exchange(coming_back_, true))
    return;
  service_.world.after(service_.world.between(least_ms, most_ms), [this, alive = alive_] {
    if (!*alive)
      return;
    coming_back_ = false;
    if (service_.closing || done_)
      return;
    ++service_.reconnects;
    connect();
  });
}

void Client::check_wait() {
  auto now = service_.world.now();
  auto entries = service_.database.history(job_);
  int last = entries.empty() ? 0 : entries.back().seq;
  if (done_ || !ready_to_hear())
    owed_.clear();
  while (!owed_.empty() && (owed_.front().first <= knows() || owed_.front().first > last))
    owed_.pop_front();
  if (done_ || !ready_to_hear() || last <= knows())
    return;
  if (owed_.empty() || owed_.back().first < last)
    owed_.emplace_back(last, now);
  // who comes to a long history gets it piece by piece: the bound counts from where the last piece begins
  int knew = std::exchange(knew_, knows());
  if (knew < knows() && knew + kPiece < last) {
    for (auto &[seq, since] : owed_)
      since = now;
  }
  auto since = std::max(owed_.front().second, service_.weather.trouble_until);
  if (now - since > service_.bound_ms)
    service_.world.violated("P3", name(job_) + " stands at " + std::to_string(last) + ", its watcher at " +
                                      std::to_string(knows()) + " for " + std::to_string(now - since) +
                                      " ms");
}

// --- events ---------------------------------------------------------------------------------------------

/// The server's side, as http/stream.cc has it.
struct EventClient::Stream {
  Stream(EventClient &to, Node &at)
      : client(to),
        node(at),
        place(to.job_, to.cursor_),
        watcher(at.event_desk, core::Callback<Result<const core::EventPage *>>::to<&Stream::got>(this)) {
    watcher.listen(client.job_);
    place.aim(node.timeline());
    watcher.need().id = client.job_;
    place.seek(watcher.need());
    watcher.look();
  }
  ~Stream() { *alive = false; }

  void got(Result<const core::EventPage *> page) {
    if (!page) {
      if (!open)
        send({"", 0, 0, false, true});  // retry:, and the end
      return;
    }
    if (*page == nullptr) {
      if (open)
        send({"", 0, 0, false, true});
      else
        client.service_.world.after(0, [&c = client, a = alive] {
          if (*a)
            c.disconnect();
        });
      watcher.leave();
      return;
    }
    auto fit = place.fit(**page, node.timeline());
    place.seek(watcher.need());
    if (fit == core::Place::Fit::elsewhere) {
      watcher.restart();
      return;
    }
    if (!open && fit == core::Place::Fit::here && place.came_after_the_end(**page)) {
      send({place.cursor(), 0, 0, false, true});
      return;
    }
    bool news =
        fit == core::Place::Fit::lost || (*page)->last_seq > place.after() || core::is_ending((*page)->state);
    if (client.pages_ && !news) {
      watcher.seen((*page)->last_seq, (*page)->last_seq);
      return;
    }
    if (fit == core::Place::Fit::lost || !open)
      send({place.cursor(), 0, 0, fit == core::Place::Fit::lost, false});
    open = true;
    give(**page);
    bool over = core::is_ending((*page)->state) && place.after() >= (*page)->last_seq;
    if (over || client.pages_) {
      send({place.cursor(), 0, 0, false, true});
      watcher.leave();
      return;
    }
    watcher.seen(place.after(), (*page)->last_seq);
  }

  void give(const core::EventPage &page) {
    place.advance(
        page, [this] { return unsent <= kPiece; },
        [&](const core::Event &event) {
          send({place.cursor(), event.seq, std::stoull(event.seq == 1 ? *page.correlation_id : *event.data),
                false, false});
        });
    place.seek(watcher.need());
    if (unsent > kPiece)
      watcher.pause();
  }

  // the wire: in order, not at once, and lost with the connection
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
      client.hear(message);  // which may destroy this
    });
  }

  EventClient &client;
  Node &node;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  core::Place place;
  core::Watcher<core::EventNeed> watcher;
  bool open = false;
  bool slow = client.service_.world.chance(0.1);
  int unsent = 0;
  std::int64_t last_sent = 0;
};

EventClient::EventClient(Service &service, const Uuid &job, bool pages)
    : Client(service, job), pages_(pages) {}
EventClient::~EventClient() = default;
Node *EventClient::node() const { return stream_ ? &stream_->node : nullptr; }
bool EventClient::ready_to_hear() const { return stream_ && stream_->unsent == 0; }

void EventClient::connect() {
  Node *to = service_.some_node();
  if (to == nullptr) {
    come_back(100, 1000);
    return;
  }
  if (service_.world.chance(0.01) && to->timeline() != 0) {
    cursor_ = core::encode_cursor(to->timeline(), job_, 100000);  // of a client that lies
    forged_ = true;
  }
  stream_ = std::make_unique<Stream>(*this, *to);
}

void EventClient::disconnect() {
  stream_.reset();
  come_back(1, 1500);
}

void EventClient::failed_over() {
  for (auto &[seq, uid] : held_) {
    auto entries = service_.database.history(job_);
    bool kept = std::any_of(entries.begin(), entries.end(), [&, s = seq, u = uid](const Entry &entry) {
      return entry.seq == s && entry.uid == u;
    });
    must_be_reset_ = must_be_reset_ || !kept;
  }
}

void EventClient::hear(const Message &message) {
  if (!message.cursor.empty())
    cursor_ = message.cursor;
  if (message.reset) {
    ++service_.resets;
    bool due = must_be_reset_ || forged_ || service_.database.timeline() > 1;
    if (!due)
      service_.world.violated("P4", name(job_) + ": a reset that nothing explains");
    must_be_reset_ = forged_ = false;
    held_.clear();
    next_ = core::decode_cursor(message.cursor, message.timeline, job_).value_or(0) + 1;
    if (message.timeline != service_.database.timeline())
      must_be_reset_ = true;  // it was on its way during another failover
  }
  if (message.seq != 0)
    check(message);
  if (!message.last || service_.world.broken())
    return;
  auto entries = service_.database.history(job_);
  done_ = !entries.empty() && core::is_ending(entries.back().state) && next_ > entries.back().seq;
  stream_.reset();
  if (!done_)
    come_back(pages_ ? 0 : 10, pages_ ? 20 : 1000);
}

void EventClient::check(const Message &message) {
  ++service_.delivered;
  auto say = name(job_) + ": event " + std::to_string(message.seq);
  bool current = message.timeline == service_.database.timeline();
  if (must_be_reset_ && current)
    service_.world.violated("P4", say + " continues a history that was undone, without a reset");
  if (message.seq != next_)
    service_.world.violated("P4", say + " comes where " + std::to_string(next_) + " was due");
  auto entries = service_.database.history(job_);
  bool real = std::any_of(entries.begin(), entries.end(), [&](const Entry &entry) {
    return entry.seq == message.seq && entry.uid == message.uid;
  });
  if (!real && current)
    service_.world.violated("P4", say + " is not in the database");
  if (!real)
    must_be_reset_ = true;
  next_ = message.seq + 1;
  held_.emplace_back(message.seq, message.uid);
}

// --- held requests ----------------------------------------------------------------------------------------

/// The server's side, as http/watch.cc has it.
struct HoldClient::Request {
  Request(HoldClient &to, Node &at)
      : client(to),
        node(at),
        watcher(at.job_desk, core::Callback<Result<const core::Job *>>::to<&Request::got>(this)) {
    auto &world = client.service_.world;
    auto wait = world.chance(0.3) ? 0 : world.between(100, 30000);
    over = wait == 0;
    if (!over)
      watcher.listen(client.job_);
    watcher.need().id = client.job_;
    if (world.chance(0.5))
      watcher.need().memory = &node.cache;
    world.after(wait, [this, a = alive] {
      if (!*a)
        return;
      over = true;
      watcher.look();
    });
    watcher.restart();
  }
  ~Request() { *alive = false; }

  void got(Result<const core::Job *> job) {
    if (!job) {
      if (!known || over)
        finish(nullptr);
      return;
    }
    known = true;
    const core::Job *found = *job;
    if (found == nullptr || over || core::is_ending(found->state))
      finish(found);
    else
      watcher.seen(found->seq, found->seq);
  }

  void finish(const core::Job *job) {
    watcher.leave();
    client.answered(job);  // destroys this
  }

  HoldClient &client;
  Node &node;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  core::Watcher<core::JobNeed> watcher;
  bool over = false;
  bool known = false;
};

HoldClient::HoldClient(Service &service, const Uuid &job) : Client(service, job) {}
HoldClient::~HoldClient() = default;
Node *HoldClient::node() const { return request_ ? &request_->node : nullptr; }

/// It is owed nothing but the ending.
bool HoldClient::ready_to_hear() const {
  auto entries = service_.database.history(job_);
  return request_ && !entries.empty() && core::is_ending(entries.back().state);
}

void HoldClient::connect() {
  Node *to = service_.some_node();
  if (to == nullptr)
    come_back(100, 1000);
  else
    request_ = std::make_unique<Request>(*this, *to);
}

void HoldClient::disconnect() {
  request_.reset();
  come_back(1, 1500);
}

void HoldClient::answered(const core::Job *job) {
  ++service_.answers;
  bool same_history = request_->node.timeline() == service_.database.timeline();
  if (job != nullptr && same_history) {
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
    come_back(10, 2000);
}

// --- submissions
// --------------------------------------------------------------------------------------------

Submitter::Submitter(Service &service, Node &node, const Uuid &id, bool poison, bool wait)
    : service_(service), node_(&node), poison_(poison), began_(service.world.now()) {
  submission_.job.id = id;
  submission_.job.queue = "work";
  submission_.job.payload = "x";
  if (poison)
    submission_.job.params = "poison";
  if (wait) {
    watcher_.emplace(node.job_desk, core::Callback<Result<const core::Job *>>::to<&Submitter::got>(this));
    watcher_->listen(id);
    watcher_->need().id = id;
  }
  node.intake.add(submission_, service.world.now());
}

Submitter::~Submitter() = default;

void Submitter::leave() {
  done_ = true;
  node_ = nullptr;
  watcher_.reset();
  submission_.unlink();
}

void Submitter::stored(Result<core::Submitted> outcome) {
  ++service_.answers;
  if (accepted_)
    service_.world.violated("P1", name(id()) + " was answered twice");
  if (!outcome) {
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
