#pragma once

#include <string>
#include <vector>

#include "core/ports.h"
#include "relay/relay_event.h"

namespace await::relay {

/// Events behind a position. The events of a job are in order, also over pages.
struct RelayPage {
  std::vector<RelayEvent> events;
  /// Where to go on reading. Of the source that has returned it, and for this run only. Every cursor is such
  /// a position too.
  std::string next;
  /// What is stored when these events, and all before them, have been delivered: everything up to here was
  /// read. In the form of await.events_after(), and good for every source. Empty: not known yet, because
  /// events came from the log ahead of a snapshot; the stored cursor stays where it is.
  std::string cursor;
  bool complete = true;  ///< false: there is more to be read at once
};

/// Where the events come from: the tables, or the write-ahead log. A relay may be started with another source
/// at any time, and a source may fall back to the tables.
class Source {
 public:
  class Listener {
   public:
    /// There may be new events: read.
    virtual void on_news() = 0;
    /// Events should have their hints when few are read at a time, at most so many; 0: never.
    virtual int most_hints() const { return 0; }
    /// It has far to go: others that wait for a few events are served before it.
    virtual bool behind() const { return false; }

   protected:
    ~Listener() = default;
  };

  virtual ~Source() = default;
  /// Begins to look for news, and tells this listener of them. Never calls back from within.
  virtual void listen(Listener &listener) = 0;
  virtual void forget(Listener &listener) = 0;
  /// Reads what follows a position, about `limit` events, for a listener. Calls back with an empty page if
  /// there is nothing; also that may have another `next` and `cursor`.
  virtual void read(Listener &listener, const std::string &position, int limit,
                    core::Reply<RelayPage> &reply) = 0;
};

}  // namespace await::relay
