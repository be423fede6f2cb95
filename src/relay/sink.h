#pragma once

#include <span>

#include "core/ports.h"
#include "relay/relay_event.h"

namespace await::relay {

/// Hands events on: to Redis, Kafka, the table of webhook deliveries, standard output. Each sink has a
/// durable cursor of its own (await.relay_advance), which the relay moves when deliver() has succeeded, so
/// a sink that is down holds up nobody else, and gets what it has missed.
///
/// A page may be delivered again, after a crash or a change of the leader: with the same RelayEvent::id()s,
/// and never events of a job in another order.
class Sink {
 public:
  virtual ~Sink() = default;
  /// This relay leads from now on, or no longer. What a sink does besides deliver(), it does while it leads.
  /// On false, a page that is being delivered should end soon, with any outcome: another relay delivers it.
  virtual void lead(bool) {}
  /// The relay ends. A page that is being delivered has some seconds left; nothing else is begun.
  virtual void drain() { lead(false); }
  /// Delivers all events of a page, in their order. There is one page at a time, and `events` exists until
  /// the reply. The outcome: `Done` when the receiver has confirmed all of them. An error: some may have been
  /// delivered; the relay logs it once for each reason, and offers the page again after a backoff.
  virtual void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) = 0;
  /// About how many events are read at a time.
  virtual int page_size() const { return 1000; }
  /// While a page is delivered, what follows is read until so many events wait: they are the next page.
  virtual int group_size() const { return 1; }
  /// Of a page with at most so many events, it publishes RelayEvent::hints.
  virtual int most_hints() const { return 0; }
  /// What is missing for it to work, with the remedy, for `await-relay --check`; `Done` if nothing is.
  virtual void check(core::Reply<Done> &reply) = 0;
  /// Nothing of what was delivered is left to do now: with --once, the relay ends when that is so.
  virtual bool settled() const { return true; }
  /// It can never deliver again, as when the reader of standard output has gone: the relay ends.
  virtual bool finished() const { return false; }
  /// Nothing is left to do, apart from deliver(): asked at the end, after lead(false).
  virtual bool idle() const { return true; }
};

}  // namespace await::relay
