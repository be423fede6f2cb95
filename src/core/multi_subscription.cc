#include "core/multi_subscription.h"

#include "core/multi_cursor.h"

namespace await::core {

void MultiSubscription::add(SubscriptionServices &services, Subscription::Source source) {
  std::unique_ptr<Part> *end = &first_.behind;
  while (*end)
    end = &(*end)->behind;
  *end = std::make_unique<Part>(*this, services, std::move(source));
}

void MultiSubscription::on_page(Subscription &feed, const EventPage &page, bool lost) {
  auto &part = static_cast<Part &>(feed);
  part.state = page.state;
  part.lost = part.lost || lost;
  part.placed = true;
  if (!open_) {
    part.knew = !part.lost && part.place().came_after_the_end(page);
    part.done = part.place().is_at_the_end(page);
    // mutant: all-channels-placed
    if (!all([](const Part &one) { return one.placed; })) {
      part.pause();  // its events are read when all can be told
      part.next(page);
      return;
    }
    if (!open())
      return;
  }
  if (part.lost)
    tell_lost(part);
  reader_.on_events(part, page);
  part.done = part.place().is_at_the_end(page);
  if (is_done()) {
    reader_.on_end();
    return;
  }
  part.next(page);
  reader_.on_flush();
}

bool MultiSubscription::open() {
  if (!reader_.on_ready())
    return false;
  open_ = true;
  each([this](Part &part) {
    if (part.lost)
      tell_lost(part);
  });
  return true;
}

void MultiSubscription::tell_lost(Part &part) {
  part.lost = false;
  reader_.on_gap(part);
}

void MultiSubscription::on_error(Subscription &feed, const Error &error) {
  if (!open_) {
    reader_.on_error(error);
    return;
  }
  if (error.code != Code::not_found)
    return;  // what is open sits out what may be a restart
  auto &part = static_cast<Part &>(feed);
  part.leave();
  part.done = true;
  if (all([](const Part &one) { return one.done; }))
    reader_.on_end();
}

std::string MultiSubscription::cursor() const {
  if (is_alone())
    return first_.place().cursor();
  std::vector<std::string> parts;
  for (const Part *part = &first_; part != nullptr; part = part->behind.get())
    // mutant: lost-part-of-cursor
    parts.push_back(part->lost ? "" : part->place().cursor());
  return join_cursors(std::move(parts));
}

void MultiSubscription::resume() {
  // mutant: resume-all-channels
  if (open_)
    each([](Part &part) { part.resume(); });
}

void MultiSubscription::leave() {
  each([](Part &part) { part.leave(); });
}

}  // namespace await::core
