#include "relay/recent_events.h"

#include <algorithm>
#include <utility>

namespace await::relay {
namespace {

std::size_t size_of(const std::optional<std::string> &text) { return text ? text->size() : 0; }

std::size_t size_of(const RelayEvent &event) {
  std::size_t hints = 0;
  for (const auto &[channel, message] : event.hints)
    hints += sizeof event.hints.front() + channel.size() + message.size();
  return hints + sizeof(RelayEvent) + event.type.size() + event.state.size() + event.queue.size() +
         size_of(event.topic) + size_of(event.owner) + size_of(event.batch) + size_of(event.phase) +
         size_of(event.correlation_id) + size_of(event.trace) + size_of(event.data) + size_of(event.result) +
         size_of(event.value);
}

}  // namespace

void RecentEvents::reset() {
  forget_events();
  newest_ = {};
  position_ = marked_ = 0;
}

/// Whoever is attached loses its place. What the log says from now on counts again, and nobody attaches
/// before start(), whose number is higher than that of each transaction that is forgotten here.
void RecentEvents::forget_events() {
  ++generation_;
  start_.reset();
  dropped_ = {};
  first_ = next() + 1;
  released_.clear();
  bytes_ = 0;
  waiting_.clear();
  sees_waiting_ = false;
  candidate_.reset();
  marks_.clear();
}

void RecentEvents::on_event(const core::LoggedEvent &event) {
  if (waiting_.size() >= limits_.waiting)
    forget_events();
  waiting_.push_back({event, arrivals_++});
}

void RecentEvents::on_position(core::Lsn position) {
  position_ = std::max(position_, position);
  if (candidate_ && !candidate_->arrived && position_ >= candidate_->upto)
    candidate_->arrived = arrivals_;
}

/// What has just arrived is probably visible. Of the rest only what the newest snapshot sees, so that
/// transactions that wait for a standby, however many, do not hold back others.
std::vector<RecentEvents::Due> RecentEvents::take_due(std::size_t most) {
  std::vector<Due> out;
  if (attached_ == 0)
    return out;
  out.reserve(std::min(most, waiting_.size()));
  for (const Due &item : waiting_) {
    if (out.size() >= most)
      break;
    if (item.number >= asked_ || newest_.sees(item.event.xid))
      out.push_back(item);
  }
  asked_ = out.size() < most ? arrivals_ : std::max(asked_, out.back().number + 1);
  return out;
}

bool RecentEvents::on_reading(Reading reading) {
  if (reading.view.covers(newest_))
    newest_ = reading.view;
  bool news = release_found(reading);
  sees_waiting_ = std::any_of(waiting_.begin(), waiting_.end(),
                              [&](const Due &item) { return newest_.sees(item.event.xid); });
  if (!candidate_) {
    candidate_ = Candidate{std::move(reading.snapshot), std::move(reading.view), reading.upto, std::nullopt};
    on_position(position_);
  }
  drop_released();
  return settle_mark() || news;
}

/// Stops at the first event that the snapshot sees and that was not looked for, because those of the same
/// job that follow must follow.
bool RecentEvents::release_found(Reading &reading) {
  std::deque<Due> rest;
  auto asked = reading.looked_for.begin();
  auto found = reading.events.begin();
  Place before = next();
  for (; !waiting_.empty(); waiting_.pop_front()) {
    const Due &item = waiting_.front();
    auto is_of = [&](const Due &due) { return found->job == due.event.job && found->seq == due.event.seq; };
    for (; asked != reading.looked_for.end() && asked->number < item.number; ++asked) {
      if (found != reading.events.end() && is_of(*asked))
        ++found;  // forgotten meanwhile
    }
    if (asked == reading.looked_for.end())
      break;
    bool looked_for = asked->number == item.number;
    if (looked_for && found != reading.events.end() && is_of(item))
      release(std::move(*found++), item.event.xid);
    else if (!reading.view.sees(item.event.xid))
      rest.push_back(item);
    else if (!looked_for)
      break;
  }
  waiting_.insert(waiting_.begin(), rest.begin(), rest.end());
  return next() > before;
}

void RecentEvents::release(RelayEvent event, std::uint64_t xid) {
  std::size_t bytes = size_of(event);
  bytes_ += bytes;
  released_.push_back({std::move(event), xid, bytes});
}

void RecentEvents::drop_released() {
  for (; released_.size() > limits_.released || bytes_ > limits_.bytes; ++first_) {
    dropped_ = newest_;
    bytes_ -= released_.front().bytes;
    released_.pop_front();
  }
}

/// A snapshot becomes a mark when the log has come to where it was when the snapshot was taken, and all that
/// the snapshot sees has been released.
bool RecentEvents::settle_mark() {
  if (!candidate_ || !candidate_->arrived)
    return false;
  for (const Due &item : waiting_) {
    if (item.number >= *candidate_->arrived)
      break;
    if (candidate_->view.sees(item.event.xid))
      return false;
  }
  marked_ = std::max(marked_, candidate_->upto);
  marks_.push_back({std::move(candidate_->snapshot), std::move(candidate_->view), next()});
  candidate_.reset();
  if (marks_.size() > kMostMarks)
    marks_.pop_front();
  return true;
}

std::optional<RecentEvents::Place> RecentEvents::attach(const core::SnapshotView &seen) {
  if (!start_ || seen.xmin() <= *start_ || !seen.covers(dropped_))
    return std::nullopt;
  if (attached_++ == 0)
    forget_what_is_seen(seen);
  return first_;
}

/// Of the first to attach: nobody else needs what it has.
void RecentEvents::forget_what_is_seen(const core::SnapshotView &view) {
  std::erase_if(waiting_, [&](const Due &item) { return view.sees(item.event.xid); });
  for (; !released_.empty() && view.sees(released_.front().xid); ++first_) {
    bytes_ -= released_.front().bytes;
    released_.pop_front();
  }
  dropped_ = view;
  asked_ = 0;
}

/// The newest mark within the page, so that also a sink that is always behind comes to a mark.
RecentEvents::Place RecentEvents::end_of_page(Place place, std::size_t limit) const {
  auto within = std::find_if(marks_.rbegin(), marks_.rend(),
                             [&](const Mark &mark) { return mark.place <= place + limit; });
  return within != marks_.rend() && within->place > place ? within->place : next();
}

RecentEvents::Page RecentEvents::read(Place place, std::size_t limit, const core::SnapshotView &seen) const {
  Page out;
  std::size_t bytes = 0;
  Place end = end_of_page(place, limit);
  for (out.next = place; out.next < end; ++out.next) {
    const Released &item = released_[out.next - first_];
    if (seen.sees(item.xid))
      continue;
    if (out.events.size() >= limit || bytes >= limits_.page_bytes)
      break;
    bytes += item.bytes;
    out.events.push_back(item.event);
  }
  out.complete = out.next >= next();
  return out;
}

const RecentEvents::Mark *RecentEvents::mark(Place place) const {
  auto found = std::find_if(marks_.rbegin(), marks_.rend(), [&](auto &mark) { return mark.place == place; });
  return found != marks_.rend() ? &*found : nullptr;
}

}  // namespace await::relay
