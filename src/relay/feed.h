#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/backoff.h"
#include "core/event_rate.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "relay/cursors.h"
#include "relay/sink.h"
#include "relay/source.h"

namespace await::relay {

/// Which events are delivered: of these types and queues; an empty set stands for all.
struct Filter {
  std::set<std::string> types;
  std::set<std::string> queues;
  bool takes(const RelayEvent &event) const {
    return (types.empty() || types.contains(event.type)) && (queues.empty() || queues.contains(event.queue));
  }
};

/// Brings events from a source to a sink: reads what follows while a page is delivered, and stores the cursor
/// behind what was delivered, not with each page.
///
/// While it catches up beside sinks that have everything, it rests between two pages for three times as long
/// as the page took, so that what they get does not wait for a processor; but not so long that it would no
/// longer gain on them.
class Feed : private Source::Listener {
 public:
  /// What a feed needs of the relay that it belongs to.
  class Owner {
   public:
    /// The stored cursor was removed by an operator.
    virtual void on_removed_cursor() = 0;
    /// Whether this relay leads at this moment. If not, stop() follows.
    virtual bool leads() const = 0;
    /// Another relay leads.
    virtual void on_refused() = 0;
    /// How many events a second come for those of the other feeds that are live(); nullopt: none of them is.
    virtual std::optional<std::int64_t> live_rate(const Feed &feed) = 0;
    /// Something has changed of what is asked by caught_up() and idle().
    virtual void on_feed() = 0;

   protected:
    ~Owner() = default;
  };

  Feed(io::Loop &loop, io::Log &log, io::Random &random, Cursors &cursors, Source &source, Sink &sink,
       std::string name, const Filter &filter, Owner &owner);
  ~Feed();

  const std::string &name() const { return name_; }
  Sink &sink() { return sink_; }
  /// Begins behind the stored cursor.
  void start(const StoredCursor &stored);
  /// The lead is lost: nothing is read or stored any more. A page that is being delivered may end.
  void stop();
  /// Reads no more; what was begun is delivered, and the cursor stored.
  void drain();
  /// Whether nothing is in flight, and everything is stored.
  bool idle() const;
  /// Whether a page that was the last one has been delivered and stored since start().
  bool caught_up() const { return caught_up_ && idle(); }
  /// Whether it has all that there is, and the sink takes what comes.
  bool live() const { return running_ && !behind_ && trouble().empty(); }
  /// Events a second that were read.
  std::int64_t rate() { return rate_.per_second(loop_.monotonic_ms()); }
  /// Why the sink takes nothing at present; empty: it does.
  const std::string &trouble() const { return failed_.failing() ? failed_.reason() : unread_.reason(); }

 private:
  static constexpr std::int64_t kStoreMs = 100;        // cursors are stored so often at most
  static constexpr std::size_t kGroupBytes = 4 << 20;  // no more is read to one page, whatever the sink takes
  static constexpr std::int64_t kIdleStoreMs = 10'000;  // if nothing was delivered
  static constexpr std::int64_t kRest = 3;              // times as long as a page took,
  static constexpr std::int64_t kMostRestMs = 250;
  static constexpr std::int64_t kGain = 4;  // and it reads so many times as much as comes for others
  struct Page {
    std::vector<RelayEvent> events;
    std::string cursor;
    bool last = false;
    std::int64_t read = 0;  // events before the filter
    std::size_t bytes = 0;
    void append(Page &&more);
  };

  void on_news() override;
  int most_hints() const override { return sink_.most_hints(); }
  bool behind() const override { return behind_; }
  void read();
  bool full() const;
  void rest(std::int64_t events);
  void on_page(Result<RelayPage> page);
  void deliver();
  void on_delivered(const Result<Done> &outcome);
  void finish_page();
  void store();
  void store_soon();
  void on_stored(Result<Advanced> outcome);
  bool has_to_store() const;
  void tell_reason();

  io::Loop &loop_;
  io::Random &random_;
  Cursors &cursors_;
  Source &source_;
  Sink &sink_;
  std::string name_;
  const Filter &filter_;
  Owner &owner_;
  io::Outage outage_;
  io::Outage::Part failed_{outage_};
  io::Outage read_outage_;
  io::Outage::Part unread_{read_outage_};

  bool running_ = false;
  bool draining_ = false;
  bool news_ = false;    // there may be more than was read
  bool behind_ = false;  // the last page was not the end
  bool caught_up_ = false;
  std::string position_;       // of the next read
  std::int64_t asked_ms_ = 0;  // when the last one began
  core::EventRate rate_;
  std::optional<Page> current_;
  std::optional<Page> next_;
  bool delivering_ = false;  // the sink has current_
  bool stale_ = false;       // and its outcome is of no interest

  std::int64_t no_ = 0;  // of the stored cursor
  Progress progress_;    // that is not stored
  bool dirty_ = false;   // events were read that the stored cursor does not have behind it
  bool tells_ = false;   // why no events are read, or that they are again
  Progress storing_;     // what on_stored() is about
  std::int64_t stored_ms_ = 0;
  core::Backoff backoff_{100, 10'000};
  core::Backoff read_backoff_{100, 2'000};
  core::Reply<RelayPage> page_reply_ = core::Reply<RelayPage>::to<&Feed::on_page>(this);
  core::Reply<Done> sink_reply_ = core::Reply<Done>::to<&Feed::on_delivered>(this);
  core::Reply<Advanced> store_reply_ = core::Reply<Advanced>::to<&Feed::on_stored>(this);
  std::unique_ptr<io::Timer> deliver_timer_;
  std::unique_ptr<io::Timer> read_timer_;
  std::unique_ptr<io::Timer> store_timer_;
};

}  // namespace await::relay
