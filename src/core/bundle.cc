#include "core/bundle.h"

#include "core/cursors.h"

namespace await::core {

void Bundle::add(FeedDesk &desk, Feed::Source source) {
  std::unique_ptr<Part> *end = &first_.behind;
  while (*end)
    end = &(*end)->behind;
  *end = std::make_unique<Part>(*this, desk, std::move(source));
}

void Bundle::fed(Feed &feed, const EventPage &page, bool lost) {
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
  reader_.give(part, page);
  part.done = part.place().is_at_the_end(page);
  if (is_done()) {
    reader_.done();
    return;
  }
  part.next(page);
  reader_.given();
}

bool Bundle::open() {
  if (!reader_.open())
    return false;
  open_ = true;
  each([this](Part &part) {
    if (part.lost)
      tell_lost(part);
  });
  return true;
}

void Bundle::tell_lost(Part &part) {
  part.lost = false;
  reader_.lost(part);
}

void Bundle::starved(Feed &feed, const Error &error) {
  if (!open_) {
    reader_.refused(error);
    return;
  }
  if (error.code != Code::not_found)
    return;  // what is open sits out what may be a restart
  auto &part = static_cast<Part &>(feed);
  part.leave();
  part.done = true;
  if (all([](const Part &one) { return one.done; }))
    reader_.done();
}

std::string Bundle::cursor() const {
  if (is_alone())
    return first_.place().cursor();
  std::vector<std::string> parts;
  for (const Part *part = &first_; part != nullptr; part = part->behind.get())
    // mutant: lost-part-of-cursor
    parts.push_back(part->lost ? "" : part->place().cursor());
  return join_cursors(std::move(parts));
}

void Bundle::resume() {
  // mutant: resume-all-channels
  if (open_)
    each([](Part &part) { part.resume(); });
}

void Bundle::leave() {
  each([](Part &part) { part.leave(); });
}

}  // namespace await::core
