#include "http/live/events_page.h"

#include <algorithm>

#include "core/multi_cursor.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "ngx/guard.h"
#include "wire/document.h"
#include "wire/json_writer.h"

namespace await::http {

EventsPage::EventsPage(ngx_http_request_t *r, const std::vector<wire::Channel> &channels,
                       const wire::EventEncoding &shape, const wire::Format *format,
                       const std::string &cursor, Wait wait)
    : Held(r), wait_(wait), shape_(shape), format_(format) {
  for (const wire::Channel &what : channels)
    parts_.push_back(std::make_unique<Part>(*this, what, cursor));
  process()->register_held(*this);
}

bool EventsPage::all(bool Part::*what) const {
  return std::all_of(parts_.begin(), parts_.end(), [what](auto &part) { return (*part).*what; });
}
bool EventsPage::any(bool Part::*what) const {
  return std::any_of(parts_.begin(), parts_.end(), [what](auto &part) { return (*part).*what; });
}

Answer EventsPage::start() {
  over_ = wait_.ms == 0 || process()->draining();
  for (auto &part : parts_)
    part->start(!over_);
  if (!over_) {
    due_ms_ = process()->now_ms() + wait_.ms;
    process()->due_in(*this, wait_.ms);
  }
  return hold();
}

void EventsPage::drain() {
  over_ = true;
  for (auto &part : parts_) {
    part->read = false;
    part->look();
  }
}

void EventsPage::revoke() {
  if (revive())
    finish(send_revoked(r_));
}

void EventsPage::give_up() {
  if (revive())
    finish(send_restarting(r_));
}

void EventsPage::leave() {
  core::TimerEntry::unlink();
  for (auto &part : parts_) {
    part->leave();
    part->reading.set(0);
  }
}

void EventsPage::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    std::int64_t left = due_ms_ - process()->now_ms();
    if (left > 0)
      process()->due_in(*this, left);  // longer than the wheel goes round
    else
      drain();
  });
}

void EventsPage::on_revive() {
  process()->counters().add(Gauge::parked, -1);
  for (auto &part : parts_) {
    if (part->kind() == core::Kind::job)
      facts(r_).id = part->id().text();
  }
  facts(r_).delivery = "events";
}

std::optional<std::string_view> EventsPage::owner() const { return owner_of(r_); }

void EventsPage::on_error(core::Subscription &feed, const Error &error) {
  bool told = error.code == Code::not_found || !feed.known() || over_;
  if (told && revive())
    finish(send_error(r_, error));  // else a held client sits out what may be a restart
}

void EventsPage::on_page(core::Subscription &feed, const core::EventPage &page, bool lost) {
  auto &part = static_cast<Part &>(feed);
  part.reading.set(0);
  part.state = page.state;
  part.lost = part.lost || lost;
  part.read = true;
  if (lost && part.kind() == core::Kind::topic && page.last_seq > 1) {
    part.read = false;  // its latest value is next
    part.restart();
    return;
  }
  part.news = part.news || part.lost || part.place().has_news(page);
  if (part.news)
    take(part, page);
  part.done = part.place().is_at_the_end(page);
  if (all(&Part::read) && (any(&Part::news) || all(&Part::done) || over_)) {
    if (revive())
      answer();
    return;
  }
  part.next(page);
  if (all(&Part::read) && !parked() && location_conf(r_).park && park())
    process()->counters().add(Gauge::parked, 1);
}

void EventsPage::take(Part &part, const core::EventPage &page) {
  part.place().advance(
      page, [] { return true; },
      [&](const core::Event &event) {
        if (!shape_.name_of(event.type).empty())
          part.events +=
              (part.events.empty() ? "" : ",") + wire::encode_event(page, event, shape_, !is_alone());
      });
}

void EventsPage::answer() {
  std::string events;
  std::vector<std::string> cursors;
  for (auto &part : parts_) {
    events += (events.empty() || part->events.empty() ? "" : ",") + part->events;
    cursors.push_back(part->place().cursor());
  }
  Part &first = *parts_.front();
  wire::JsonWriter out;
  if (format_ != nullptr && is_alone()) {  // it may want to say what it is of
    if (first.kind() == core::Kind::job)
      out.text("id", first.id().text());
    out.text("channel", first.channel());
  }
  out.made("events", "[" + events + "]");
  out.text("cursor", is_alone() ? cursors.front() : core::join_cursors(std::move(cursors)));
  out.text("state", is_alone() ? wire::standing(first.kind(), first.state) : wire::kLive);
  out.boolean("done", all(&Part::done));
  if (any(&Part::lost)) {
    out.boolean("reset", true);
    process()->counters().count(Counter::resets);
  }
  std::string text = out.take();
  facts(r_).state = core::state_name(first.state);
  add_header(r_, "Cache-Control", "no-store");
  add_wait_headers(r_, wait_, "Accept, Prefer");
  finish(send(r_, 200, "application/json", format_ != nullptr ? format_->apply(text) : text));
}

}  // namespace await::http
