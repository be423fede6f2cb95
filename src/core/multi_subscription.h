#pragma once

#include <memory>
#include <string>

#include "core/subscription.h"

namespace await::core {

/// One of the channels that a client reads, and its state.
struct SubscriptionPart : Subscription {
  using Subscription::Subscription;
  State state = State::pending;  ///< from the last read
  bool placed = false;           ///< its first page has come: the position of the client is known
  bool lost = false;             ///< events were missed, and on_gap() was not called yet
  bool gone = false;             ///< a job that is no longer kept
  bool done = false;             ///< the client has all events there will ever be
  bool knew = false;             ///< and had them before it connected

 private:
  friend class PartReader;
  SubscriptionPart *behind_ = nullptr;  // in the line of PartReader; of the last one, the first
};

/// Turns the pages of a client's channels into calls in one order: on_ready, on_gap if events were missed,
/// on_events, and then on_end or on_flush. Every transport derives from this, so that the order is written
/// once.
///
/// Parts whose page comes when there is no room stand in line. They are read and served one after the other,
/// and the others wait until the line is empty: busy channels would otherwise keep another one from its
/// events for ever.
///
/// on_ready() and on_gap() may destroy the part or this; they return false then. on_events(),
/// can_deliver() and is_complete() must not. on_end(), on_flush() and on_failure() may: nothing is accessed
/// after them.
class PartReader : protected Subscription::Reader {
 protected:
  /// Whether events of this part may be delivered. If not, on_ready() is called.
  virtual bool is_open(const SubscriptionPart &part) const { return part.placed; }
  /// A page has come for a part that is not open. `part.placed` is set. False: this page is not delivered.
  virtual bool on_ready(SubscriptionPart &part, const EventPage &page) = 0;
  /// What the client has missed cannot be replayed. False: this page is not delivered.
  virtual bool on_gap(SubscriptionPart &part) = 0;
  /// Whether there is room for an event now.
  virtual bool can_deliver() const { return true; }
  /// Delivers events of the page, as many as there is room for. Pauses the part if there is none.
  virtual void on_events(SubscriptionPart &part, const EventPage &page) = 0;
  /// Whether on_end() is due.
  virtual bool is_complete(const SubscriptionPart &part) const = 0;
  /// No more events will come.
  virtual void on_end(SubscriptionPart &part) = 0;
  /// The end of this page.
  virtual void on_flush() = 0;
  /// As Subscription::Reader::on_error().
  virtual void on_failure(SubscriptionPart &part, const Error &error) = 0;
  /// Resumes all parts.
  virtual void resume_all() {}

  /// There is room for events again.
  void resume_parts();
  /// Call before a part is destroyed, unless all are.
  void forget(const SubscriptionPart &part);
  ~PartReader() = default;

 private:
  void on_page(Subscription &subscription, const EventPage &page, bool lost) final;
  void on_error(Subscription &subscription, const Error &error) final;
  void give(SubscriptionPart &part, const EventPage &page);
  SubscriptionPart *first_in_line() const { return last_in_line_ ? last_in_line_->behind_ : nullptr; }
  void line_up(SubscriptionPart &part);
  void leave_line(const SubscriptionPart &part);

  SubscriptionPart *last_in_line_ = nullptr;
};

/// Several channels that a client reads with one cursor; usually there is one. No event is delivered before
/// the position in each of them is known.
class MultiSubscription : private PartReader {
 public:
  struct Part : SubscriptionPart {
    Part(MultiSubscription &subscription, SubscriptionServices &services, Source source)
        : SubscriptionPart(subscription, services, std::move(source)) {}
    std::unique_ptr<Part> behind;
  };
  /// Any of the calls may destroy the MultiSubscription.
  class Reader {
   public:
    /// The positions of all channels are known. False: this was destroyed, or nothing more is to be
    /// delivered.
    virtual bool on_ready() = 0;
    /// The client has missed events of this channel that cannot be replayed.
    virtual void on_gap(Part &part) = 0;
    /// Whether there is room for an event now.
    virtual bool can_deliver() const = 0;
    /// Delivers events of the page, as many as there is room for. Pauses the part if there is none.
    virtual void on_events(Part &part, const EventPage &page) = 0;
    /// End of this batch: flush.
    virtual void on_flush() = 0;
    /// No more events will come.
    virtual void on_end() = 0;
    /// A first read failed. not_found: the channel does not exist for this client.
    virtual void on_error(const Error &error) = 0;
    virtual std::optional<std::string_view> owner() const = 0;

   protected:
    ~Reader() = default;
  };

  MultiSubscription(Reader &reader, SubscriptionServices &services, Subscription::Source source)
      : reader_(reader), first_(*this, services, std::move(source)) {}
  void add(SubscriptionServices &services, Subscription::Source source);

  /// @param listens  whether new events are delivered after the first pages
  /// @param ends  whether on_end() is called when no channel will have more events
  /// @param is_gone  tells whether the job of a Part is no longer kept
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
  /// The cursor of all channels. A channel with a gap that was not announced yet is left out, so that it is
  /// announced when the client reconnects.
  std::string cursor() const;
  /// There is room for events again.
  void resume();
  /// Stops reading; no more calls.
  void leave();

 private:
  bool is_open(const SubscriptionPart &) const override { return open_; }
  bool on_ready(SubscriptionPart &part, const EventPage &page) override;
  bool on_gap(SubscriptionPart &part) override;
  bool can_deliver() const override { return reader_.can_deliver(); }
  void on_events(SubscriptionPart &part, const EventPage &page) override;
  bool is_complete(const SubscriptionPart &) const override { return is_done(); }
  void on_end(SubscriptionPart &) override { reader_.on_end(); }
  void on_flush() override { reader_.on_flush(); }
  void on_failure(SubscriptionPart &part, const Error &error) override;
  void resume_all() override {
    // mutant: resume-all-channels
    each([](Part &part) { part.resume(); });
  }
  std::optional<std::string_view> owner() const override { return reader_.owner(); }
  bool open();
  bool is_done() const {
    return ends_ && all([](const Part &part) { return part.done; });
  }

  Reader &reader_;
  Part first_;  // the head of a list
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
    part.lost = part.position().mark_gone(part.timeline());
    part.knew = !part.lost;
    part.placed = part.done = true;
  });
  if (all([](const Part &part) { return part.placed; }) && open())
    is_done() ? reader_.on_end() : reader_.on_flush();
}

}  // namespace await::core
