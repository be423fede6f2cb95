#pragma once

#include <memory>
#include <string>

#include "core/subscription.h"

namespace await::core {

/// The channels that a client reads as one, with one cursor; mostly it is one. Nothing is given before it is
/// known of each of them from where the client reads.
class MultiSubscription : private Subscription::Reader {
 public:
  struct Part : Subscription {
    Part(MultiSubscription &bundle, SubscriptionServices &services, Source source)
        : Subscription(bundle, services, std::move(source)) {}
    State state = State::pending;  ///< as last heard of
    bool placed = false;           ///< it is known from where the client reads
    bool lost = false;             ///< that is not its cursor, and it was not told yet
    bool gone = false;             ///< a job that is no longer kept
    bool done = false;             ///< the client has all there will ever be
    bool knew = false;             ///< and had before it came
    std::unique_ptr<Part> behind;
  };
  /// What it does in any of the calls may be the end of the bundle.
  class Reader {
   public:
    /// All have their places. False: it goes no further.
    virtual bool on_ready() = 0;
    /// What this channel's client has missed cannot be told.
    virtual void on_gap(Part &part) = 0;
    /// Gives events of the page, as many as there is room for; without any, pauses the part.
    virtual void on_events(Part &part, const EventPage &page) = 0;
    /// That was it for now.
    virtual void on_flush() = 0;
    /// And for ever.
    virtual void on_end() = 0;
    /// Before it was open; not_found: for this client there is no such thing.
    virtual void on_error(const Error &error) = 0;
    virtual std::optional<std::string_view> owner() const = 0;

   protected:
    ~Reader() = default;
  };

  MultiSubscription(Reader &reader, SubscriptionServices &services, Subscription::Source source)
      : reader_(reader), first_(*this, services, std::move(source)) {}
  void add(SubscriptionServices &services, Subscription::Source source);

  /// @param listens  whether it goes on reading
  /// @param ends  whether it is done() when nothing will ever come
  /// @param is_gone  what says of a Part that it is no longer kept
  template <class IsGone>
  void start(bool listens, bool ends, IsGone is_gone);
  void start(bool listens, bool ends) {
    start(listens, ends, [](const Part &) { return false; });
  }

  bool is_alone() const { return !first_.behind; }
  const Part &first() const { return first_; }
  template <class Visit>
  void each(Visit visit);
  template <class Test>
  bool all(Test test) const;
  /// Of all its channels. Those that have lost their places and were not told are left out, so that whoever
  /// comes back from here is told.
  std::string cursor() const;
  /// There is room, at first or again.
  void resume();
  /// No more calls.
  void leave();

 private:
  void on_page(Subscription &feed, const EventPage &page, bool lost) override;
  void on_error(Subscription &feed, const Error &error) override;
  std::optional<std::string_view> owner() const override { return reader_.owner(); }
  bool open();
  void tell_lost(Part &part);
  bool is_done() const {
    return ends_ && all([](const Part &part) { return part.done; });
  }

  Reader &reader_;
  Part first_;  // the others hang on it
  bool ends_ = true;
  bool open_ = false;
};

template <class Visit>
void MultiSubscription::each(Visit visit) {
  for (Part *part = &first_; part != nullptr; part = part->behind.get())
    visit(*part);
}

template <class Test>
bool MultiSubscription::all(Test test) const {
  const Part *part = &first_;
  while (part != nullptr && test(*part))
    part = part->behind.get();
  return part == nullptr;
}

template <class IsGone>
void MultiSubscription::start(bool listens, bool ends, IsGone is_gone) {
  ends_ = ends;
  each([&](Part &part) {
    part.gone = is_gone(part);
    if (!part.gone) {
      part.start(listens);
      return;
    }
    part.lost = part.place().mark_gone(part.timeline());
    part.knew = !part.lost;
    part.placed = part.done = true;
  });
  if (all([](const Part &part) { return part.placed; }) && open())
    is_done() ? reader_.on_end() : reader_.on_flush();
}

}  // namespace await::core
