#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/live/counted_subscription.h"
#include "ngx/held.h"
#include "wire/channel.h"
#include "wire/event_encoding.h"

namespace await::http {

/// The events of a channel, or of several, after a cursor, as one JSON object; held until there is one, if
/// the client likes.
class EventsPage : public ngx::Held, private core::TimerEntry, private core::Subscription::Reader {
 public:
  /// @param channels  at least one
  /// @param format  of the whole page; null: as docs/http.md has it
  EventsPage(ngx_http_request_t *r, const std::vector<wire::Channel> &channels,
             const wire::EventEncoding &shape, const wire::Format *format, const std::string &cursor,
             Wait wait);

  Answer start();
  void drain() override;
  void revoke() override;
  void give_up() override;

 private:
  /// One of its channels.
  struct Part : CountedSubscription {
    Part(EventsPage &page, const wire::Channel &what, const std::string &cursor)
        : CountedSubscription(page, location_conf(page.r_), what, cursor) {}
    std::string events;  // the client is to have them
    core::State state = core::State::pending;
    bool read = false;  // as often as it must be before the answer
    bool news = false;
    bool lost = false;
    bool done = false;  // there is nothing more to come
  };
  bool all(bool Part::*what) const;
  bool any(bool Part::*what) const;
  bool is_alone() const { return parts_.size() == 1; }

  void leave() override;
  void on_due() noexcept override;
  void on_revive() override;
  std::optional<std::string_view> owner() const override;
  void on_error(core::Subscription &feed, const Error &error) override;
  void on_page(core::Subscription &feed, const core::EventPage &page, bool lost) override;
  void take(Part &part, const core::EventPage &page);
  void answer();

  Wait wait_;
  const wire::EventEncoding &shape_;
  const wire::Format *format_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::int64_t due_ms_ = 0;
  bool over_ = false;  // the time is over, the next reads are answered
};

}  // namespace await::http
