// ngx_http_await_events_module: a job's events, as a stream or as a page of JSON.

#include "base/text.h"
#include "core/cursor.h"
#include "core/place.h"
#include "core/watcher.h"
#include "http/action.h"
#include "http/channels.h"
#include "http/facts.h"
#include "http/formats.h"
#include "http/request.h"
#include "http/respond.h"
#include "http/stream.h"
#include "http/watch.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/document.h"
#include "wire/json_writer.h"
#include "wire/sse.h"

extern ngx_module_t ngx_http_await_events_module;

namespace await::http {
namespace {

constexpr std::string_view kJob = "job:";

struct EventsSettings {
  ngx_http_complex_value_t *channel;  // job:<id>, topic:<name> or user:<name>
  ngx_uint_t json_first;
  ngx_uint_t thin;
  ngx_uint_t linger;
  const wire::Format *event;  // null: as the contract has them
  const wire::Format *page;
  const wire::Shape *shape;  // made at first use
};

EventsSettings &events_settings(ngx_http_request_t *r) {
  return *static_cast<EventsSettings *>(ngx_http_get_module_loc_conf(r, ngx_http_await_events_module));
}

const wire::Shape &shape_of(ngx_http_request_t *r) {
  EventsSettings &conf = events_settings(r);
  if (conf.shape == nullptr)
    conf.shape = make_shape(r, conf.event, conf.thin == 1);
  return *conf.shape;
}

/// The events after a cursor as one JSON object; held until there is one, if the client likes.
class EventsPage : public ngx::Held, private core::Spoke {
 public:
  EventsPage(ngx_http_request_t *r, const wire::Channel &what, std::string cursor, Wait wait)
      : Held(r),
        what_(what),
        wait_(wait),
        place_(what.id, std::move(cursor), what.name),
        watcher_(process()->events(what.id),
                 core::Callback<Result<const core::EventPage *>>::to<&EventsPage::got>(this)) {
    process()->enrol(*this);
    watcher_.need().id = what.id;
    known_ = what.kind() != core::Kind::job;  // whose it is was asked before
    watcher_.trust(settings(r).hints == kSigned);
  }

  ngx_int_t start() {
    place_.aim(process()->timeline());
    place_.seek(watcher_.need());
    reading_.emplace(Gauge::reads);
    over_ = wait_.ms == 0 || process()->draining();
    if (!over_) {
      watcher_.listen(watcher_.need().id);
      due_ms_ = process()->now_ms() + wait_.ms;
      process()->due_in(*this, wait_.ms);
    }
    watcher_.look();
    return hold();
  }

  void drain() override {
    over_ = true;
    watcher_.look();
  }

  void revoke() override {
    if (revive())
      finish(send_revoked(r_));
  }

  void give_up() override {
    if (!revive())
      return;
    finish(r_->header_sent ? NGX_ERROR : send_unavailable(r_, "The service restarts just now; try again."));
  }

 private:
  void leave() override {
    core::Spoke::unlink();
    watcher_.leave();
    reading_.reset();
  }

  void due() noexcept override {
    ngx::guarded(connection()->log, [this] {
      std::int64_t left = due_ms_ - process()->now_ms();
      if (left > 0)
        process()->due_in(*this, left);  // longer than the wheel goes round
      else
        drain();
    });
  }

  void revived() override {
    process()->counters().add(Gauge::parked, -1);
    if (what_.kind() == core::Kind::job)
      facts(r_).id = what_.id.text();
    facts(r_).delivery = "events";
  }

  void got(Result<const core::EventPage *> page) {
    if (!page) {
      if ((reading_ || over_) && revive())
        finish(send_error(r_, page.error()));
      return;  // a held client sits out what may be a restart
    }
    const core::EventPage *found = *page;
    core::EventPage none;
    bool topic = what_.kind() == core::Kind::topic;
    if (found == nullptr && topic)
      found = &(none = wire::silent(what_));
    auto owner = known_ ? std::nullopt : owner_of(r_);  // whose job it is never changes
    if (found == nullptr || (owner && found->owner != *owner)) {
      if (revive())
        finish(send_error(r_, {Code::not_found, "no such job"}));
      return;
    }
    known_ = true;
    reading_.reset();
    auto fit = place_.fit(*found, process()->timeline());
    place_.seek(watcher_.need());
    if (fit == core::Place::Fit::elsewhere) {
      watcher_.restart();
      return;
    }
    bool reset = fit == core::Place::Fit::lost;
    if (reset && topic && found->last_seq > 1) {
      reset_ = true;  // and the latest value is read
      watcher_.restart();
      return;
    }
    reset = reset || reset_;
    if (reset || over_ || place_.has_news(*found) || core::is_ending(found->state)) {
      if (revive())
        answer(*found, reset);
      return;
    }
    auto [seen, last] = place_.standing(*found);
    watcher_.seen(seen, last);
    if (!parked() && settings(r_).park && park())
      process()->counters().add(Gauge::parked, 1);
  }

  void answer(const core::EventPage &page, bool reset) {
    const wire::Shape &shape = shape_of(r_);
    std::string events;
    place_.advance(
        page, [] { return true; },
        [&](const core::Event &event) {
          if (!shape.name_of(event.type).empty())
            events += (events.empty() ? "" : ",") + wire::encode_event(page, event, shape);
        });
    wire::JsonWriter out;
    const wire::Format *format = events_settings(r_).page;
    if (format != nullptr) {  // it may want to say what it is of
      if (what_.kind() == core::Kind::job)
        out.text("id", what_.id.text());
      out.text("channel", what_.text());
    }
    out.made("events", "[" + events + "]");
    out.text("cursor", place_.cursor());
    out.text("state", wire::standing(page));
    out.boolean("done", core::is_ending(page.state) && place_.after() == page.last_seq);
    if (reset) {
      out.boolean("reset", true);
      process()->counters().count(Counter::resets);
    }
    std::string text = out.take();
    facts(r_).state = core::state_name(page.state);
    add_header(r_, "Cache-Control", "no-store");
    add_wait_headers(r_, wait_, "Accept, Prefer");
    finish(send(r_, 200, "application/json", format != nullptr ? format->apply(text) : text));
  }

  wire::Channel what_;
  Wait wait_;
  core::Place place_;
  core::Watcher<core::EventNeed> watcher_;
  std::optional<Tally> reading_;  // until it was read once
  std::int64_t due_ms_ = 0;
  bool over_ = false;
  bool known_ = false;
  bool reset_ = false;  // of a topic: what was missed cannot be told
};

/// A job that is no longer kept, for an EventSource that was away too long: any 4xx would be its end
/// without a word, so it is told once (`reset`), and when it comes back with that id there is nothing left.
ngx_int_t send_gone(ngx_http_request_t *r, const Uuid &id, const std::string &cursor) {
  auto timeline = process()->timeline();
  add_header(r, "Cache-Control", "no-store");
  if (core::decode_cursor(cursor, timeline, id) == core::kGone)
    return send_empty(r, 204);
  std::string gone = core::encode_cursor(timeline, id, core::kGone);
  wire::JsonWriter data;
  data.text("cursor", gone);
  data.text("state", "gone");
  process()->counters().count(Counter::resets);
  return send(r, 200, "text/event-stream", wire::sse_frame(gone, "reset", data.take()));
}

/// What the channel names; nothing, with the answer in `rc`, where that is none, or another user's.
std::optional<wire::Channel> watched(ngx_http_request_t *r, std::string_view channel, bool stream,
                                     const std::string &cursor, ngx_int_t *rc) {
  if (!channel.starts_with(kJob)) {
    auto what = wire::parse_channel(channel);
    if (what && is_theirs(*what, owner_of(r)))
      return what;
    *rc = send_problem(r, 404, "There is no such channel.");
    return std::nullopt;
  }
  std::string_view text = channel.substr(kJob.size());
  if (auto old = Uuid::parse(text); stream && old && process()->past_retention(*old) && !cursor.empty()) {
    *rc = send_gone(r, *old, cursor);
    return std::nullopt;
  }
  auto id = addressed(r, text, rc);
  return id ? std::optional(wire::Channel{*id, {}}) : std::nullopt;
}

ngx_int_t get_events(ngx_http_request_t *r) {
  bool json_first = events_settings(r).json_first == 1;
  constexpr std::string_view kStreamFirst[] = {"text/event-stream", "application/json"};
  constexpr std::string_view kJsonFirst[] = {"application/json", "text/event-stream"};
  int chosen = wire::choose(header(r, "accept"), json_first ? kJsonFirst : kStreamFirst);
  if (chosen < 0)
    return send_problem(r, 406, "Events are given as text/event-stream or application/json.");
  auto channel = channel_of(r, events_settings(r).channel);
  const auto &only = facts(r).ticket_channels;
  if (!channel || !is_admitted(only ? &*only : nullptr, *channel))
    return send_problem(r, 404, "There is no such channel.");
  std::string cursor = header(r, "last-event-id");
  if (cursor.empty())
    cursor = argument(r, "cursor").value_or("");
  bool stream = (chosen == 0) != json_first;
  ngx_int_t rc = NGX_OK;
  auto what = watched(r, *channel, stream, cursor, &rc);
  if (!what)
    return rc;

  if (!stream) {
    auto wait = asked_wait(r, &rc);
    if (!wait)
      return rc;
    ngx_int_t room = check_room(r, wait->ms > 0);
    facts(r).delivery = "events";
    return room != NGX_OK ? room : ngx::Held::make<EventsPage>(r, *what, std::move(cursor), *wait)->start();
  }
  facts(r).delivery = "sse";
  if (!has_room(r) || process()->draining() || has_too_many_reads(r)) {
    // any status but 200 would stop EventSource for good
    add_header(r, "Cache-Control", "no-store");
    return send(r, 200, "text/event-stream", wire::sse_retry(retry_ms(r)));
  }
  StreamOptions options{std::move(cursor), argument(r, "names").value_or("") != "off",
                        argument(r, "beat").value_or("") == "1", events_settings(r).linger == 1};
  return ngx::Held::make<EventStream>(r, *what, shape_of(r), std::move(options))->start();
}

char *set_events(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *events = static_cast<EventsSettings *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &Settings::events, get_events) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  if (!is_channel(ngx::view(words[1])))
    return config_error(cf, ngx::view(words[1]),
                        "is no channel: job:<id>, topic:<name> and user:<name> can be watched, or what a "
                        "variable names");
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "default=json")
      events->json_first = 1;
    else if (word == "thin")
      events->thin = 1;
    else if (word == "linger")
      events->linger = 1;
    else if (take_format(cf, word, "event", &events->event, &rc) ||
             take_format(cf, word, "format", &events->page, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
    } else if (word != "default=sse") {
      return config_error(
          cf, word,
          "is no option of await_events: there are default=sse|json, thin, linger, event= and format=");
    }
  }
  return compile(cf, words[1], &events->channel) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_events"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_events, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<EventsSettings, &EventsSettings::channel>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_events_module =
    await::http::plain_module(&await::http::context, await::http::commands);
