#include "sim/follower.h"

#include <algorithm>

#include "core/snapshot_cursor.h"
#include "sim/wire.h"

namespace await::sim {

std::string Follower::name() const {
  switch (kind()) {
    case core::Kind::job:
      return id_.text().substr(24);
    case core::Kind::batch:
      return "batch " + id_.text().substr(24);
    case core::Kind::topic:
      return "topic " + id_.text().substr(35);
    case core::Kind::user:
      break;
  }
  return "user " + id_.text().substr(35);
}

core::Subscription::Source Follower::source(std::string cursor) const {
  return {id_, core::ends(kind()) ? "" : name(), "u", std::move(cursor)};
}

// --- jobs and topics --------------------------------------------------------------------------------------

HistoryFollower::HistoryFollower(Service &service, const Uuid &id)
    : Follower(service, id), next_(core::ends(core::kind_of(id)) ? 1 : 0) {}

int HistoryFollower::last() const {
  auto entries = service_.database.history(id_);
  return entries.empty() ? 0 : entries.back().seq;
}

bool HistoryFollower::is_real(int seq, std::uint64_t uid) const {
  auto entries = service_.database.history(id_);
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry &entry) { return entry.seq == seq && entry.uid == uid; });
}

void HistoryFollower::failed_over() {
  for (auto &[seq, uid] : held_)
    must_be_reset_ = must_be_reset_ || !is_real(seq, uid);
}

void HistoryFollower::hear(const Message &message) {
  if (service_.database.is_purged(id_))
    return;  // it was sent before; the session ends
  bool knew_nothing = next_ == 0;
  if (message.reset)
    take_reset(message);
  else if (next_ == 0 && message.seq == 0)  // a topic's primer: the latest value comes next
    next_ = core::decode_cursor(message.cursor, message.timeline, id_).value_or(0) + 1;
  // a topic begins, and begins anew, with its latest value
  bool begins = message.seq == 0 && kind() == core::Kind::topic && (message.reset || knew_nothing);
  if (message.timeline == service_.database.timeline() && next_ > std::max(2, last() + (begins ? 0 : 1)))
    service_.world.violated("P4", name() + ": it is to go on behind the end, at " + std::to_string(next_));
  if (message.seq != 0)
    check(message);
}

void HistoryFollower::take_reset(const Message &message) {
  ++service_.resets;
  // a client without a position begins before the latest value, which may be cut off before it is read
  bool cut = kind() == core::Kind::topic && next_ <= last() - Database::kTopicKept;
  if (!must_be_reset_ && !excused_ && !cut && service_.database.timeline() == 1)
    service_.world.violated("P4", name() + ": a reset that nothing explains");
  must_be_reset_ = excused_ = false;
  held_.clear();
  told_ = Told();
  next_ = core::decode_cursor(message.cursor, message.timeline, id_).value_or(0) + 1;
  if (message.timeline != service_.database.timeline())
    must_be_reset_ = true;  // it was on its way during another failover
}

void HistoryFollower::check(const Message &message) {
  ++service_.delivered;
  auto say = name() + ": event " + std::to_string(message.seq);
  bool current = message.timeline == service_.database.timeline();
  if (must_be_reset_ && current)
    service_.world.violated("P4", say + " continues a history that was undone, without a reset");
  bool due = Database::is_latest_only(id_) ? message.seq >= next_ : message.seq == next_;
  if (!due)
    service_.world.violated("P4", say + " comes where " + std::to_string(next_) + " was due");
  bool real = is_real(message.seq, message.uid);
  if (!real && current)
    service_.world.violated("P4", say + " is not in the database");
  if (!real)
    must_be_reset_ = true;
  next_ = message.seq + 1;
  held_.emplace_back(message.seq, message.uid);
  if (real && current && kind() == core::Kind::batch && message.seq > 1)
    check_totals(message);
}

/// What a client sees of a batch goes forward, and it is ready when all its jobs have ended, not before.
void HistoryFollower::check_totals(const Message &message) {
  auto say = name() + ": event " + std::to_string(message.seq);
  if (message.told.total < told_.total || message.told.done < told_.done)
    service_.world.violated("P4", say + " has smaller totals than the one before");
  told_ = message.told;
  auto entries = service_.database.history(id_);
  auto at = std::find_if(entries.begin(), entries.end(), [&](auto &one) { return one.seq == message.seq; });
  BatchCount now = service_.database.count(id_);
  if (at->state == core::State::completed && (now.open > 0 || told_.done != told_.total || told_.total == 0))
    service_.world.violated("P2", say + " says that the batch is ready, and it is not");
  if (core::is_ending(at->state) && at->seq != entries.back().seq)
    service_.world.violated("P2", say + " is an ending, and not the last event");
}

bool HistoryFollower::done() const {
  auto entries = service_.database.history(id_);
  return !entries.empty() && core::is_ending(entries.back().state) && next_ > entries.back().seq;
}

bool HistoryFollower::has_all() const {
  if (core::ends(kind()))
    return done();
  return last() <= 1 || (next_ != 0 && knows() >= last());  // 1: nothing was ever published
}

void HistoryFollower::check_wait(bool ready) {
  auto now = service_.world.now();
  int newest = last();
  if (done() || !ready || next_ == 0)
    owed_.clear();
  while (!owed_.empty() && (owed_.front().first <= knows() || owed_.front().first > newest))
    owed_.pop_front();
  if (done() || !ready || next_ == 0 || newest <= knows())
    return;
  if (owed_.empty() || owed_.back().first < newest)
    owed_.emplace_back(newest, now);
  // a client gets a long history in portions: the bound counts from the start of the last portion
  int knew = std::exchange(knew_, knows());
  if (knew < knows() && knew + Wire::kPiece < newest) {
    for (auto &[seq, since] : owed_)
      since = now;
  }
  auto since = std::max(owed_.front().second, service_.weather.trouble_until);
  if (now - since > service_.bound_ms)
    service_.world.violated("P3", name() + " stands at " + std::to_string(newest) + ", its watcher at " +
                                      std::to_string(knows()) + " for " + std::to_string(now - since) +
                                      " ms");
}

// --- users ------------------------------------------------------------------------------------------------

/// From `since` on it is owed everything, and has nothing.
void UserFollower::begin(std::string since) {
  since_ = std::move(since);
  had_.clear();
  at_.clear();
  waiting_.clear();
}

void UserFollower::failed_over() {
  must_be_reset_ = must_be_reset_ || !since_.empty();
  begin("");
}

void UserFollower::hear(const Message &message) {
  if (message.timeline != service_.database.timeline()) {
    must_be_reset_ = true;  // the history of another timeline: what it says has been undone
    since_.clear();
    return;
  }
  if (message.reset) {
    ++service_.resets;
    if (!must_be_reset_ && !excused_ && service_.database.timeline() == 1)
      service_.world.violated("P4", name() + ": a reset that nothing explains");
    must_be_reset_ = excused_ = false;
    since_.clear();
  }
  if (message.seq != 0) {
    check(message);
  } else if (since_.empty() && !must_be_reset_) {
    auto since = core::decode_snapshot_cursor(kKeys, message.cursor, message.timeline, id_);
    bool undone = false;  // read before the node noticed that a pooler points to another server
    for (std::uint32_t earlier = 1; !since && earlier < message.timeline; ++earlier)
      undone = undone || core::decode_snapshot_cursor(kKeys, message.cursor, earlier, id_);
    if (undone)
      must_be_reset_ = true;
    else if (!since)
      service_.world.violated("P4", name() + ": a primer's cursor that says nothing");
    else
      begin(since->seen.text);
  }
}

void UserFollower::check(const Message &message) {
  ++service_.delivered;
  auto say = name() + ": event " + std::to_string(message.seq) + " of " + message.job.text().substr(24);
  if (must_be_reset_)
    service_.world.violated("P4", say + " continues a history that was undone, without a reset");
  const auto &all = due();
  if (auto at = all.find(message.uid);
      !service_.database.is_purged(message.job) &&
      (at == all.end() || at->second != std::make_pair(message.job, message.seq)))
    service_.world.violated("P4", say + " is not due");
  if (!had_.insert(message.uid).second)
    service_.world.violated("P4", say + " comes twice");
  auto [at, fresh] = at_.try_emplace(message.job, message.seq);
  if (!fresh && message.seq != at->second + 1)
    service_.world.violated("P4", say + " comes where " + std::to_string(at->second + 1) + " was due");
  at->second = message.seq;
  waiting_.erase(message.uid);
}

const UserFollower::Due &UserFollower::due() const {
  if (due_at_ == std::make_pair(service_.database.version(), since_))
    return due_;
  due_at_ = {service_.database.version(), since_};
  due_.clear();
  if (since_.empty())
    return due_;
  Moment since(since_);
  for (const Uuid &job : service_.database.jobs_of(id_)) {
    for (const Entry &entry : service_.database.history(job)) {
      if (!since.sees(entry.xid))
        due_.emplace(entry.uid, std::make_pair(job, entry.seq));
    }
  }
  return due_;
}

bool UserFollower::has_all() const {
  const auto &all = due();
  return !since_.empty() &&
         std::all_of(all.begin(), all.end(), [this](const auto &one) { return had_.contains(one.first); });
}

void UserFollower::check_wait(bool ready) {
  auto now = service_.world.now();
  if (!ready) {
    for (auto &[uid, since] : waiting_)
      since = now;
  }
  const auto &all = due();
  // a crowd comes piece by piece: the bound counts from where the last piece begins
  auto missing = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [this](const auto &one) { return !had_.contains(one.first); }));
  if (std::exchange(knew_, had_.size()) < had_.size() && missing > Database::kUserPage / 2)
    waiting_.clear();
  for (const auto &[uid, what] : all) {
    if (had_.contains(uid))
      continue;
    auto &since = waiting_.try_emplace(uid, now).first->second;
    if (now - std::max(since, service_.weather.trouble_until) > service_.bound_ms)
      service_.world.violated("P3", name() + " has not heard of event " + std::to_string(what.second) +
                                        " of " + what.first.text().substr(24) + " for " +
                                        std::to_string(now - since) + " ms");
  }
}

}  // namespace await::sim
