#include "core/feed.h"

namespace await::core {

Feed::Feed(Reader &reader, FeedDesk &desk, Source source)
    : reader_(reader),
      place_(source.id, std::move(source.cursor), source.owner, &desk.keys),
      watcher_(desk, Callback<Result<const EventPage *>>::to<&Feed::got>(this)) {
  watcher_.need().id = source.id;
  watcher_.trust(source.signed_hints);
  if (!source.name.empty())
    name_ = std::make_unique<std::string>(std::move(source.name));
}

void Feed::start(bool listens) {
  if (listens)
    watcher_.listen(id());  // register first, read second
  place_.aim(timeline());
  place_.seek(watcher_.need());
  watcher_.look();
}

void Feed::got(Result<const EventPage *> page) {
  if (!page) {
    reader_.starved(*this, page.error());
    return;
  }
  if (*page != nullptr && is_theirs(**page))
    take(**page);
  else if (*page == nullptr && name_)
    take(silence());
  else
    reader_.starved(*this, {Code::not_found, "no such job"});
}

/// Whose job it is never changes; other channels were asked before.
bool Feed::is_theirs(const EventPage &page) const {
  auto owner = known_ || name_ ? std::nullopt : reader_.owner();
  return !owner || page.owner == *owner;
}

void Feed::take(const EventPage &page) {
  known_ = true;
  auto fit = place_.fit(page, timeline());
  if (fit == Place::Fit::elsewhere)
    restart();
  else
    reader_.fed(*this, page, fit == Place::Fit::lost);
}

void Feed::restart() {
  place_.seek(watcher_.need());
  watcher_.restart();
}

/// A topic to which nothing was ever published.
EventPage Feed::silence() const {
  EventPage page;
  page.job = id();
  page.owner = *name_;
  page.state = State::processing;
  return page;
}

void Feed::next(const EventPage &page) {
  place_.seek(watcher_.need());
  auto [seen, last] = place_.standing(page);
  watcher_.seen(seen, last);
}

}  // namespace await::core
