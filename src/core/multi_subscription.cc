#include "core/multi_subscription.h"

#include <utility>

#include "core/multi_cursor.h"

namespace await::core {

void MultiSubscription::add(SubscriptionServices &services, Subscription::Source source) {
  std::unique_ptr<Part> *end = &first_.behind;
  while (*end)
    end = &(*end)->behind;
  *end = std::make_unique<Part>(*this, services, std::move(source));
}

void PartReader::on_page(Subscription &subscription, const EventPage &page, bool lost) {
  auto &part = static_cast<SubscriptionPart &>(subscription);
  part.state = page.state;
  part.lost = part.lost || lost;
  bool open = is_open(part);
  part.placed = true;
  if (!open && !on_ready(part, page))
    return;
  if (part.lost) {
    part.lost = false;
    if (!on_gap(part))
      return;
  }
  give(part, page);
  part.done = part.position().is_at_the_end(page);
  if (is_complete(part)) {
    on_end(part);
    return;
  }
  part.next(page);
  on_flush();
}

/// Delivers events of the page if it is the part's turn, and pauses the part otherwise.
void PartReader::give(SubscriptionPart &part, const EventPage &page) {
  SubscriptionPart *first = first_in_line();
  if (first != nullptr && first != &part) {
    if (part.position().has_news(page))
      line_up(part);
    part.pause();
    return;
  }
  bool room = can_deliver();
  on_events(part, page);
  if (!room && part.position().has_news(page)) {
    line_up(part);  // its read follows when it is resumed
    return;
  }
  leave_line(part);
  if (first != nullptr && can_deliver())
    resume_parts();  // otherwise this is done when there is room
}

/// As the last one, unless it is in the line.
void PartReader::line_up(SubscriptionPart &part) {
  if (part.behind_ != nullptr)
    return;
  part.behind_ = last_in_line_ ? std::exchange(last_in_line_->behind_, &part) : &part;
  last_in_line_ = &part;
}

void PartReader::leave_line(const SubscriptionPart &part) {
  if (part.behind_ == nullptr)
    return;
  SubscriptionPart *before = last_in_line_;
  while (before->behind_ != &part)
    before = before->behind_;
  SubscriptionPart *own = before->behind_;
  before->behind_ = own->behind_;
  own->behind_ = nullptr;
  if (last_in_line_ == own)
    last_in_line_ = before == own ? nullptr : before;
}

void PartReader::on_error(Subscription &subscription, const Error &error) {
  auto &part = static_cast<SubscriptionPart &>(subscription);
  forget(part);
  on_failure(part, error);
}

void PartReader::forget(const SubscriptionPart &part) {
  bool was_first = first_in_line() == &part;
  leave_line(part);
  if (was_first && can_deliver())
    resume_parts();
}

void PartReader::resume_parts() {
  if (SubscriptionPart *first = first_in_line())
    first->resume();
  else
    resume_all();
}

bool MultiSubscription::on_ready(SubscriptionPart &part, const EventPage &page) {
  part.knew = !part.lost && part.position().came_after_the_end(page);
  part.done = part.position().is_at_the_end(page);
  // mutant: all-channels-placed
  if (!all([](const Part &one) { return one.placed; })) {
    part.pause();  // its events are read when all channels are placed
    part.next(page);
    return false;
  }
  return open();
}

bool MultiSubscription::open() {
  if (!reader_.on_ready())
    return false;
  open_ = true;
  each([this](Part &part) {
    if (std::exchange(part.lost, false))
      on_gap(part);
  });
  return true;
}

bool MultiSubscription::on_gap(SubscriptionPart &part) {
  reader_.on_gap(static_cast<Part &>(part));
  return true;
}

void MultiSubscription::on_events(SubscriptionPart &part, const EventPage &page) {
  reader_.on_events(static_cast<Part &>(part), page);
}

void MultiSubscription::on_failure(SubscriptionPart &part, const Error &error) {
  if (!open_) {
    reader_.on_error(error);
    return;
  }
  if (error.code != Code::not_found)
    return;  // open channels wait for the end of what may be a restart
  part.leave();
  part.done = true;
  if (all([](const Part &one) { return one.done; }))
    reader_.on_end();
}

std::string MultiSubscription::cursor() const {
  if (is_alone())
    return first_.position().cursor();
  std::vector<std::string> parts;
  for (const Part *part = &first_; part != nullptr; part = part->behind.get())
    // mutant: lost-part-of-cursor
    parts.push_back(part->lost ? "" : part->position().cursor());
  return join_cursors(std::move(parts));
}

void MultiSubscription::resume() {
  if (open_)
    resume_parts();
}

void MultiSubscription::leave() {
  each([](Part &part) { part.leave(); });
}

}  // namespace await::core
