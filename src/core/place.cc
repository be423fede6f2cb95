#include "core/place.h"

#include "core/cursor.h"

namespace await::core {
namespace {
constexpr int kNewest = INT32_MAX - 1;  // a read after it brings nothing but where the history stands
}

/// The seq that the cursor names on `timeline`.
std::optional<int> Place::known(std::uint32_t timeline) const {
  return cursor_ ? decode_cursor(*cursor_, timeline, job_) : std::nullopt;
}

void Place::aim(std::uint32_t timeline) {
  if (!placed_)
    after_ = known(timeline).value_or(topic_ && !had_cursor_ ? kNewest : 0);
}

Place::Fit Place::fit(const EventPage &page, std::uint32_t timeline) {
  bool lost = false;
  if (!placed_ && topic_ && !had_cursor_) {
    placed_ = true;
    timeline_ = timeline;
    after_ = before_latest(page);
    return page.last_seq > 1 ? Fit::elsewhere : Fit::here;
  }
  if (!placed_) {
    // while it was read the timeline may have become known, in an nginx worker's first moments
    auto seen = known(timeline);
    lost = (had_cursor_ && !seen) || (seen && *seen > page.last_seq);
    if (!lost && seen.value_or(0) != after_) {
      after_ = seen.value_or(0);
      return Fit::elsewhere;
    }
    placed_ = true;
    cursor_.reset();
  } else {
    lost = timeline != timeline_ || after_ > page.last_seq;
  }
  timeline_ = timeline;
  bool cut =
      topic_ && !page.events.empty() && page.events.front().seq > after_ + 1;  // what came next is not kept
  lost = lost || cut;
  if (lost)
    after_ = topic_ ? before_latest(page) : page.last_seq;
  return lost ? Fit::lost : Fit::here;
}

bool Place::take(int seq) {
  if (seq != after_ + 1)
    return false;
  after_ = seq;
  return true;
}

bool Place::takes_whole(const EventPage &page, std::size_t most_bytes) const {
  constexpr std::size_t kFew = 16;
  std::size_t n = page.events.size();
  if (n < 2 || n > kFew || page.events.front().seq != after_ + 1)
    return false;
  std::size_t bytes = 0;
  for (const Event &event : page.events)
    bytes += (event.data ? event.data->size() : 0) +
             (event.result ? static_cast<std::size_t>(event.result->size) : 0);
  return bytes <= most_bytes;
}

bool Place::came_after_the_end(const EventPage &page) const {
  return had_cursor_ && is_ending(page.state) && after_ == page.last_seq;
}

std::string Place::cursor() const { return encode_cursor(timeline_, job_, after_); }

}  // namespace await::core
