#pragma once

#include "core/subscription.h"
#include "http/runtime/process.h"
#include "wire/channel.h"

namespace await::http {

/// What a subscription to this channel reads, as the location says.
inline core::Subscription::Source source_of(const LocationConf &location, const wire::Channel &what,
                                            std::string cursor) {
  return {what.id, what.kind() == core::Kind::job ? "" : what.text(), what.name, std::move(cursor),
          location.hints == kSigned};
}

/// Counts among those that wait for their first page.
struct CountedSubscription : core::Subscription {
  CountedSubscription(Reader &reader, const LocationConf &location, const wire::Channel &what,
                      std::string cursor)
      : core::Subscription(reader, process()->events(what.id), source_of(location, what, std::move(cursor))) {
  }
  void start(bool listens) {
    reading.set(1);
    core::Subscription::start(listens);
  }
  void leave() {
    reading.set(0);
    core::Subscription::leave();
  }
  ScopedGauge reading{Gauge::reads, 0};
};

}  // namespace await::http
