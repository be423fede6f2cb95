#include "core/subscription.h"

namespace await::core {

Subscription::Subscription(Reader &reader, SubscriptionServices &services, Source source)
    : reader_(reader),
      position_(source.id, std::move(source.cursor), source.owner, &services.keys),
      watcher_(services, Callback<Result<const EventPage *>>::to<&Subscription::on_read>(this)) {
  watcher_.read().id = source.id;
  watcher_.trust(source.signed_hints);
  if (!source.name.empty())
    name_ = std::make_unique<std::string>(std::move(source.name));
}

void Subscription::start(bool listens) {
  if (listens)
    watcher_.listen(id());  // register first, read second
  position_.start(timeline());
  position_.prepare(watcher_.read());
  watcher_.look();
}

void Subscription::on_read(Result<const EventPage *> page) {
  if (!page) {
    reader_.on_error(*this, page.error());
    return;
  }
  if (*page != nullptr && is_theirs(**page))
    take(**page);
  else if (*page == nullptr && name_)
    take(silence());
  else
    reader_.on_error(*this, {Code::not_found, absence(kind())});
}

/// The owner of a job or a batch never changes. Other channels were authorised before.
bool Subscription::is_theirs(const EventPage &page) const {
  auto owner = known_ || name_ ? std::nullopt : reader_.owner();
  return !owner || page.owner == *owner;
}

void Subscription::take(const EventPage &page) {
  known_ = true;
  Continuity continuity = position_.on_page(page, timeline());
  if (continuity == Continuity::reread)
    restart();
  else
    reader_.on_page(*this, page, continuity == Continuity::gap);
}

void Subscription::restart() {
  position_.prepare(watcher_.read());
  watcher_.restart();
}

/// The page of a topic that has no events.
EventPage Subscription::silence() const {
  EventPage page;
  page.job = id();
  page.owner = *name_;
  page.state = State::processing;
  return page;
}

void Subscription::next(const EventPage &page) {
  position_.prepare(watcher_.read());
  auto [seen, last] = position_.standing(page);
  watcher_.seen(seen, last);
}

}  // namespace await::core
