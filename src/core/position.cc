#include "core/position.h"

#include "core/multi_cursor.h"

namespace await::core {

Position::Any Position::make(const Uuid &id, const std::string &cursor, std::string_view owner,
                             const CursorKeys *keys) {
  if (kind_of(id) == Kind::user)
    return SnapshotPosition(id, cursor, owner, keys);
  return SeqPosition(id, cursor);
}

Position::Position(const Uuid &id, std::string cursor, std::string_view owner, const CursorKeys *keys)
    : any_(make(id, cursor.empty() ? cursor : cursor_for(id, std::move(cursor)), owner, keys)) {}

void Position::start(std::uint32_t timeline) {
  seq() != nullptr ? seq()->start(timeline) : snapshot().start(timeline);
}

void Position::prepare(EventRead &read) const {
  read.after = after();
  read.since = seq() != nullptr ? nullptr : &snapshot().since();
}

Continuity Position::on_page(const EventPage &page, std::uint32_t timeline) {
  return seq() != nullptr ? seq()->on_page(page, timeline) : snapshot().on_page(page, timeline);
}

bool Position::take(const EventPage &page, const Event &event) {
  return seq() != nullptr ? seq()->take(event) : snapshot().take(page, event);
}

bool Position::takes_whole(const EventPage &page, std::size_t most_bytes) const {
  constexpr std::size_t kFew = 16;
  std::size_t n = page.events.size();
  if (n < 2 || n > kFew)
    return false;
  const Event &first = page.events.front();
  if (seq() != nullptr ? !seq()->is_next(first) : snapshot().has(first))
    return false;
  std::size_t bytes = 0;
  for (const Event &event : page.events)
    bytes += (event.data ? event.data->size() : 0) +
             (event.result ? static_cast<std::size_t>(event.result->size) : 0);
  return bytes <= most_bytes;
}

bool Position::has_news(const EventPage &page) const {
  return seq() != nullptr ? seq()->has_news(page) : snapshot().has_news(page);
}

std::pair<int, int> Position::standing(const EventPage &page) const {
  return seq() != nullptr ? seq()->standing(page) : snapshot().standing(page);
}

int Position::after() const { return seq() != nullptr ? seq()->after() : 0; }

bool Position::is_at_the_end(const EventPage &page) const {
  return seq() != nullptr && seq()->is_at_the_end(page);
}

bool Position::came_after_the_end(const EventPage &page) const {
  return seq() != nullptr && seq()->came_after_the_end(page);
}

bool Position::mark_gone(std::uint32_t timeline) { return seq() != nullptr && seq()->mark_gone(timeline); }

std::string Position::cursor() const { return seq() != nullptr ? seq()->cursor() : snapshot().cursor(); }

}  // namespace await::core
