#include "relay/feed.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace await::relay {

Feed::Feed(io::Loop &loop, io::Log &log, io::Random &random, Cursors &cursors, Source &source, Sink &sink,
           std::string name, const Filter &filter, Owner &owner)
    : loop_(loop),
      random_(random),
      cursors_(cursors),
      source_(source),
      sink_(sink),
      name_(std::move(name)),
      filter_(filter),
      owner_(owner),
      outage_(loop, log),
      read_outage_(loop, log),
      deliver_timer_(loop.timer([this] { deliver(); }, io::Loop::Quit::may)),
      read_timer_(loop.timer([this] { read(); }, io::Loop::Quit::may)),
      store_timer_(loop.timer([this] { store(); }, io::Loop::Quit::may)) {}

Feed::~Feed() { source_.forget(*this); }

void Feed::start(const StoredCursor &stored) {
  stop();
  running_ = true;
  news_ = true;
  behind_ = caught_up_ = false;
  no_ = stored.no;
  position_ = stored.cursor;
  stored_ms_ = loop_.monotonic_ms();
  source_.listen(*this);
  read();
}

void Feed::stop() {
  running_ = false;
  source_.forget(*this);
  for (auto *timer : {&deliver_timer_, &read_timer_, &store_timer_})
    (*timer)->clear();
  if (page_reply_.waiting())
    page_reply_.unlink();
  if (store_reply_.waiting())
    store_reply_.unlink();
  next_.reset();
  progress_ = Progress();
  dirty_ = tells_ = false;
  // the sink reads current_ until it has answered
  stale_ = delivering_;
  if (!delivering_)
    current_.reset();
}

void Feed::drain() {
  draining_ = true;
  next_.reset();
  if (!delivering_)
    current_.reset();
  deliver_timer_->clear();
  store_timer_->set(0);
}

bool Feed::idle() const {
  return !delivering_ && !current_ && !next_ && !store_reply_.waiting() && (!running_ || !has_to_store());
}

void Feed::on_news() {
  news_ = true;
  read();
}

void Feed::read() {
  if (!running_ || draining_ || !news_ || full() || page_reply_.waiting() || read_timer_->pending())
    return;
  news_ = false;
  asked_ms_ = loop_.monotonic_ms();
  source_.read(*this, position_, sink_.page_size(), page_reply_);
}

bool Feed::full() const {
  return next_ && (next_->events.size() >= static_cast<std::size_t>(sink_.group_size()) ||
                   next_->bytes >= kGroupBytes);
}

/// The cursor is that of the last events, also if it is not known yet.
void Feed::Page::append(Page &&more) {
  std::move(more.events.begin(), more.events.end(), std::back_inserter(events));
  cursor = std::move(more.cursor);
  last = more.last;
  read += more.read;
  bytes += more.bytes;
}

void Feed::on_page(Result<RelayPage> page) {
  if (!page) {
    news_ = true;
    progress_.reason = "cannot read events: " + page.error().detail;
    unread_.fail("sink " + name_ + ": " + progress_.reason);
    tell_reason();
    read_timer_->set(read_backoff_.next(random_.unit()));
    owner_.on_feed();
    return;
  }
  if (unread_.failing()) {
    progress_.reason.clear();
    tell_reason();
  }
  unread_.recover("sink " + name_ + ": events are read again");
  read_backoff_.reset();
  position_ = std::move(page->next);
  behind_ = !page->complete;
  news_ = news_ || behind_;
  Page taken;
  taken.cursor = std::move(page->cursor);
  taken.last = page->complete;
  taken.read = static_cast<std::int64_t>(page->events.size());
  rate_.add(loop_.monotonic_ms(), taken.read);
  if (behind_)
    rest(taken.read);
  for (RelayEvent &event : page->events) {
    if (!filter_.takes(event))
      continue;
    taken.bytes += event.bytes();
    taken.events.push_back(std::move(event));
  }
  if (next_)
    next_->append(std::move(taken));
  else
    next_ = std::move(taken);
  deliver();
  owner_.on_feed();  // where there were no events, this is all that happens
}

void Feed::rest(std::int64_t events) {
  std::optional<std::int64_t> live = owner_.live_rate(*this);
  if (!live)
    return;
  std::int64_t took = loop_.monotonic_ms() - asked_ms_;
  std::int64_t ms = std::min(kRest * took, kMostRestMs);
  if (*live > 0)
    ms = std::min(ms, events * 1000 / (kGain * *live) - took);
  if (ms > 0)
    read_timer_->set(ms);
}

/// Gives the next page to the sink, unless it still has one. Pages without events are done at once.
void Feed::deliver() {
  // a process that stood still finds what came meanwhile before it learns that its lease is over
  while (running_ && !delivering_ && !deliver_timer_->pending() && owner_.leads()) {
    if (!current_) {
      if (!next_)
        break;
      current_ = std::exchange(next_, std::nullopt);
    }
    if (!current_->events.empty()) {
      delivering_ = true;
      sink_.deliver(current_->events, sink_reply_);
      break;
    }
    finish_page();
    owner_.on_feed();
  }
  read();
}

void Feed::on_delivered(const Result<Done> &outcome) {
  delivering_ = false;
  if (std::exchange(stale_, false)) {
    current_.reset();
    deliver();
    owner_.on_feed();
    return;
  }
  if (outcome) {
    failed_.recover("sink " + name_ + ": delivers again");
    progress_.reason.clear();
    backoff_.reset();
    finish_page();
  } else {
    failed_.fail("sink " + name_ + ": " + outcome.error().detail);
    progress_.failures++;
    progress_.reason = outcome.error().detail;
    store_soon();
    if (draining_)
      current_.reset();  // it is delivered after the next start
    else
      deliver_timer_->set(backoff_.next(random_.unit()));
  }
  deliver();
  owner_.on_feed();
}

void Feed::finish_page() {
  if (!current_->cursor.empty())
    progress_.cursor = std::move(current_->cursor);
  progress_.delivered += static_cast<std::int64_t>(current_->events.size());
  caught_up_ = current_->last;
  dirty_ = dirty_ || current_->read > 0;
  current_.reset();
  // an idle database changes its snapshot by our own lease: that is no reason to write
  if (has_to_store() || loop_.monotonic_ms() - stored_ms_ > kIdleStoreMs)
    store_soon();
}

/// Events that came without a cursor wait for a page with one.
bool Feed::has_to_store() const {
  return (dirty_ && !progress_.cursor.empty()) || progress_.failures > 0 || tells_;
}

void Feed::tell_reason() {
  tells_ = true;
  store_soon();
}

void Feed::store_soon() {
  if (!store_reply_.waiting() && !store_timer_->pending())
    store_timer_->set(draining_ ? 0 : kStoreMs);
}

void Feed::store() {
  if (!running_ || store_reply_.waiting())
    return;
  bool old = loop_.monotonic_ms() - stored_ms_ > kIdleStoreMs;
  if (!has_to_store() && !(old && !progress_.cursor.empty()))
    return;
  storing_ = std::exchange(progress_, Progress());
  tells_ = false;
  dirty_ = dirty_ && storing_.cursor.empty();
  cursors_.advance(name_, no_, storing_, store_reply_);
}

void Feed::on_stored(Result<Advanced> outcome) {
  if (!outcome) {
    // it may have been stored: then it is found under another number, and read again
    progress_.delivered += storing_.delivered;
    progress_.failures += storing_.failures;
    if (progress_.cursor.empty())
      progress_.cursor = storing_.cursor;
    if (progress_.reason.empty())
      progress_.reason = storing_.reason;
    dirty_ = tells_ = true;
    store_timer_->set(kStoreMs);
    return;
  }
  if (!outcome->leads) {
    owner_.on_refused();
    return;
  }
  stored_ms_ = loop_.monotonic_ms();
  if (!outcome->other_cursor) {
    no_ = outcome->no;
    if (has_to_store())
      store_soon();
    owner_.on_feed();
  } else if (outcome->other_cursor->empty()) {
    owner_.on_removed_cursor();
  } else {
    start({name_, outcome->no, *outcome->other_cursor});
  }
}

}  // namespace await::relay
