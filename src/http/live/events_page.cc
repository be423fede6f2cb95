#include "http/live/events_page.h"

#include <algorithm>

#include "core/multi_cursor.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "wire/document.h"
#include "wire/json_writer.h"

namespace await::http {

EventsPage::EventsPage(ngx_http_request_t *r, Runtime &runtime, const std::vector<wire::Channel> &channels,
                       const wire::EventEncoding &encoding, const PageOptions &options)
    : HeldPoll(r, runtime),
      wait_(options.wait),
      encoding_(encoding),
      format_(options.format),
      room_(options.limit) {
  for (const wire::Channel &channel : channels)
    parts_.push_back(std::make_unique<Part>(*this, channel, options.cursor));
  register_held();
}

template <class Test>
bool EventsPage::all(Test test) const {
  return std::all_of(parts_.begin(), parts_.end(), [&](auto &part) { return test(*part); });
}

template <class Test>
bool EventsPage::any(Test test) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](auto &part) { return test(*part); });
}

Answer EventsPage::start() {
  start_time(wait_.ms);
  for (auto &part : parts_)
    part->start(!is_over());
  return hold();
}

void EventsPage::read_last() {
  for (auto &part : parts_) {
    part->read = false;
    part->look();
  }
}

void EventsPage::leave() {
  HeldPoll::leave();
  for (auto &part : parts_)
    part->leave();
}

void EventsPage::restore_info(RequestInfo &info) {
  for (auto &part : parts_) {
    if (core::ends(part->kind()))
      info.id = part->id().text();
  }
  info.delivery = "events";
}

std::optional<std::string_view> EventsPage::owner() const { return owner_of(r_); }

void EventsPage::on_failure(core::SubscriptionPart &part, const Error &error) {
  bool final = error.code == Code::not_found || !part.known() || is_over();
  if (final && revive())  // else the database may be restarting: a client that is held already waits for it
    finish(send_error(r_, error));  // usually destroys this
}

bool EventsPage::on_ready(core::SubscriptionPart &part, const core::EventPage &) {
  static_cast<Part &>(part).reading.set(0);
  return true;
}

bool EventsPage::on_gap(core::SubscriptionPart &part) {
  static_cast<Part &>(part).reset = true;
  return true;
}

void EventsPage::on_events(core::SubscriptionPart &read, const core::EventPage &page) {
  auto &part = static_cast<Part &>(read);
  part.news = part.news || part.reset || part.position().has_news(page);
  if (part.news) {
    runtime_.deliveries().sent(page, DeliveryLog::Way::poll, 0);
    take(part, page);
  }
  // after a reset the latest value of a topic may come with the next page only
  bool latest_follows = part.reset && part.kind() == core::Kind::topic && part.position().has_news(page);
  part.read = !latest_follows;
}

/// Answers if there is something to answer with, otherwise parks. May destroy this.
void EventsPage::on_flush() {
  if (!all([](const Part &part) { return part.read; }))
    return;
  bool due = is_over() || any([](const Part &part) { return part.news; }) ||
             all([](const Part &part) { return part.done; });
  if (!due)
    rest();
  else if (revive())  // false: this was destroyed
    answer();
}

void EventsPage::take(Part &part, const core::EventPage &page) {
  if (room_ > 0)  // the first event of a job comes without asking for room
    part.position().advance(
        page, [this] { return room_ > 0; },
        [&](const core::Event &event) {
          if (encoding_.name_of(event.type).empty())
            return;
          part.events +=
              (part.events.empty() ? "" : ",") + wire::encode_event(page, event, encoding_, !is_alone());
          --room_;
        });
  auto [seen, last] = part.position().standing(page);
  part.more = seen < last;
}

void EventsPage::answer() {
  std::string events;
  std::vector<std::string> cursors;
  for (auto &part : parts_) {
    events += (events.empty() || part->events.empty() ? "" : ",") + part->events;
    cursors.push_back(part->position().cursor());
  }
  const Part &first = *parts_.front();
  wire::JsonWriter out;
  if (format_ != nullptr && is_alone()) {  // the format may use them
    if (core::ends(first.kind()))
      out.text("id", first.id().text());
    out.text("channel", first.channel());
  }
  out.made("events", "[" + events + "]");
  std::string cursor = is_alone() ? cursors.front() : core::join_cursors(std::move(cursors));
  out.text("cursor", cursor);
  out.text("state", is_alone() ? wire::standing(first.kind(), first.state) : wire::kLive);
  out.boolean("done", all([](const Part &part) { return part.done; }));
  if (any([](const Part &part) { return part.reset; })) {
    out.boolean("reset", true);
    runtime_.counters().count(Counter::resets);
  }
  std::string text = out.take();
  request_info(r_).state = core::state_name(first.state);
  add_header(r_, "Cache-Control", "no-store");
  add_wait_headers(r_, wait_, "Accept, Prefer");
  if (any([](const Part &part) { return part.more; }))
    add_header(r_, "Link", "<" + next_page(r_, cursor) + ">; rel=\"next\"");
  // usually destroys this
  finish(send(r_, 200, "application/json", format_ != nullptr ? format_->apply(text) : text));
}

}  // namespace await::http
