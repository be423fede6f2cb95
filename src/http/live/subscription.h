#pragma once

#include "core/feed.h"
#include "http/runtime/process.h"
#include "wire/channel.h"

namespace await::http {

/// What a feed of this channel reads, as the location says.
inline core::Feed::Source source_of(const Settings &location, const wire::Channel &what, std::string cursor) {
  return {what.id, what.kind() == core::Kind::job ? "" : what.text(), what.name, std::move(cursor),
          location.hints == kSigned};
}

/// Counts among those that wait for their first page.
struct Feed : core::Feed {
  Feed(Reader &reader, const Settings &location, const wire::Channel &what, std::string cursor)
      : core::Feed(reader, process()->events(what.id), source_of(location, what, std::move(cursor))) {}
  void start(bool listens) {
    reading.set(1);
    core::Feed::start(listens);
  }
  void leave() {
    reading.set(0);
    core::Feed::leave();
  }
  Tally reading{Gauge::reads, 0};
};

}  // namespace await::http
