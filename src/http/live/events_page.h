#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/live/counted_subscription.h"
#include "http/live/held_poll.h"
#include "wire/channel.h"
#include "wire/event_encoding.h"

namespace await::http {

/// What a request says of the page that it gets.
struct PageOptions {
  static constexpr int kMostEvents = 100;
  std::string cursor;          ///< as sent; empty: from the start
  Wait wait;                   ///< how long to wait for events
  int limit = kMostEvents;     ///< of events, 1 to kMostEvents
  const wire::Format *format;  ///< of the whole page; null: as in docs/http.md
};

/// The events of one or several channels after a cursor, as a JSON object. If the client is willing to wait,
/// the request is held until there are events.
class EventsPage : public HeldPoll, private core::PartReader {
 public:
  /// @param channels  at least one
  EventsPage(ngx_http_request_t *r, Runtime &runtime, const std::vector<wire::Channel> &channels,
             const wire::EventEncoding &encoding, const PageOptions &options);

  Answer start();

 private:
  /// One of the channels.
  struct Part : CountedSubscription {
    Part(EventsPage &page, const wire::Channel &channel, const std::string &cursor)
        : CountedSubscription(page, page.runtime_, location_conf(page.r_), channel, cursor) {}
    std::string events;  // of the answer
    bool read = false;   // as often as it must be before the answer
    bool news = false;   // it has something to answer with
    bool reset = false;  // events before these were missed
    bool more = false;   // it has events that are not in the answer
  };
  template <class Test>
  bool all(Test test) const;
  template <class Test>
  bool any(Test test) const;
  bool is_alone() const { return parts_.size() == 1; }

  void leave() override;
  void read_last() override;
  void restore_info(RequestInfo &info) override;
  std::optional<std::string_view> owner() const override;
  void on_failure(core::SubscriptionPart &part, const Error &error) override;
  bool on_ready(core::SubscriptionPart &part, const core::EventPage &page) override;
  bool on_gap(core::SubscriptionPart &part) override;
  void on_events(core::SubscriptionPart &part, const core::EventPage &page) override;
  /// All channels are answered together, so none ends on its own.
  bool is_complete(const core::SubscriptionPart &) const override { return false; }
  void on_end(core::SubscriptionPart &) override {}
  void on_flush() override;
  void take(Part &part, const core::EventPage &page);
  void answer();

  Wait wait_;
  const wire::EventEncoding &encoding_;
  const wire::Format *format_;
  int room_;  // for events
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace await::http
