#pragma once

#include "core/multi_subscription.h"
#include "http/runtime/held_request.h"
#include "wire/channel.h"

namespace await::http {

/// The source of a subscription to this channel, with the options of the location.
inline core::Subscription::Source source_of(const LocationConf &location, const wire::Channel &channel,
                                            std::string cursor) {
  return {channel.id, core::ends(channel.kind()) ? "" : channel.text(), channel.name, std::move(cursor),
          location.hints == kSigned};
}

/// A channel that is counted among the reads in progress until its first page has come.
struct CountedSubscription : core::SubscriptionPart {
  CountedSubscription(Reader &reader, Runtime &runtime, const LocationConf &location,
                      const wire::Channel &channel, std::string cursor)
      : core::SubscriptionPart(reader, runtime.event_services(channel.id),
                               source_of(location, channel, std::move(cursor))) {}
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
