#include "core/feed.h"

namespace await::core {

Feed::Feed(Reader &reader, FeedDesk &desk, Source source)
    : reader_(reader),
      place_(source.id, std::move(source.cursor), source.owner),
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
  const EventPage *found = *page;
  EventPage silent;
  if (found == nullptr && name_)
    found = &(silent = silence());
  bool theirs = found != nullptr;
  if (theirs && !known_ && !name_) {  // whose job it is never changes; other channels were asked before
    auto owner = reader_.owner();
    theirs = !owner || found->owner == *owner;
  }
  if (!theirs) {
    reader_.starved(*this, {Code::not_found, "no such job"});
    return;
  }
  known_ = true;
  auto fit = place_.fit(*found, timeline());
  place_.seek(watcher_.need());
  if (fit == Place::Fit::elsewhere)
    watcher_.restart();
  else
    reader_.fed(*this, *found, fit == Place::Fit::lost);
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
