// ngx_http_await_events_module: a job's events, as a stream or as a page of JSON.

#include "base/text.h"
#include "core/cursor.h"
#include "http/action.h"
#include "http/facts.h"
#include "http/request.h"
#include "http/respond.h"
#include "http/stream.h"
#include "http/watch.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/document.h"
#include "wire/json_writer.h"

extern ngx_module_t ngx_http_await_events_module;

namespace await::http {
namespace {

constexpr std::string_view kChannel = "job:";

struct EventsSettings {
  ngx_http_complex_value_t *channel;  // "job:" and an id
  ngx_uint_t json_first;
};

EventsSettings &events_settings(ngx_http_request_t *r) {
  return *static_cast<EventsSettings *>(ngx_http_get_module_loc_conf(r, ngx_http_await_events_module));
}

/// The events after a cursor as one JSON object; held until there is one, if the client likes.
class EventsPage : public ngx::Held, private core::Listener {
 public:
  EventsPage(ngx_http_request_t *r, const Uuid &id, std::string cursor, Wait wait)
      : Held(r), id_(id), cursor_(std::move(cursor)), wait_(wait) {}

  ngx_int_t start() {
    need_.id = id_;
    need_.after = core::decode_cursor(cursor_, process()->timeline(), id_).value_or(0);
    if (wait_.ms > 0) {
      process()->hub().listen(id_, *this);
      process()->enrol(*this);
    }
    deadline_ms_ = process()->now_ms() + wait_.ms;
    wait_until(deadline_ms_);
    over_ = wait_.ms == 0 || process()->draining();
    apply(follow_.look());
    return hold();
  }

  void drain() override {
    over_ = true;
    apply(follow_.look());
  }

 private:
  void leave() override {
    if (listening())
      process()->hub().leave(*this);
    need_.unlink();
  }

  void changed(int seq) noexcept override { apply(seq == 0 ? follow_.look() : follow_.told(seq)); }

  void on_time() override {
    over_ = over_ || process()->now_ms() >= deadline_ms_;
    wait_until(deadline_ms_);
    apply(follow_.look());
  }

  void apply(core::Follow::Action action) {
    if (action.what == core::Follow::Action::read)
      process()->events().add(need_);
    else if (action.what == core::Follow::Action::retry)
      wait_until(std::min(deadline_ms_, process()->now_ms() + action.delay_ms));
  }

  void wait_until(std::int64_t ms) {
    if (!over_ && wait_.ms > 0)
      set_timer(std::max<std::int64_t>(1, ms - process()->now_ms()));
  }

  void got(Result<const core::EventPage *> page) {
    if (!page) {
      follow_.failed();
      if (!known_ || over_)
        finish(send_error(r_, page.error()));
      return;  // a held client sits out what may be a restart
    }
    known_ = true;
    const core::EventPage *found = *page;
    auto owner = owner_of(r_);
    if (found == nullptr || (owner && found->owner != *owner)) {
      finish(send_error(r_, {Code::not_found, "no such job"}));
      return;
    }
    // in nginx's first moments it did not know the timeline that the cursor names: read again from there
    auto known = core::decode_cursor(cursor_, process()->timeline(), id_);
    if (known && *known != need_.after && *known <= found->last_seq) {
      need_.after = *known;
      process()->events().add(need_);
      return;
    }
    bool reset =
        (!cursor_.empty() && !known) || (known && *known > found->last_seq) || need_.after > found->last_seq;
    bool news = reset || found->last_seq > need_.after || core::is_ending(found->state);
    if (news || over_)
      answer(*found, reset);
    else
      apply(follow_.got(found->last_seq, found->last_seq));
  }

  void answer(const core::EventPage &page, bool reset) {
    auto value_max = static_cast<std::int64_t>(settings(r_).value_max);
    int last = reset ? page.last_seq : need_.after;
    std::string events;
    auto add = [&](const core::Event &event) {
      events += (events.empty() ? "" : ",") + wire::encode_event(page, event, value_max);
      last = event.seq;
    };
    if (!reset && need_.after < 1)
      add(core::first_event(page));
    for (const core::Event &event : page.events) {
      if (!reset && event.seq > last)
        add(event);
    }
    wire::JsonWriter out;
    out.raw("events", "[" + events + "]");
    out.text("cursor", core::encode_cursor(process()->timeline(), id_, last));
    out.text("state", core::state_name(page.state));
    out.boolean("done", core::is_ending(page.state) && last == page.last_seq);
    if (reset)
      out.boolean("reset", true);
    facts(r_).state = core::state_name(page.state);
    add_header(r_, "Cache-Control", "no-store");
    add_wait_headers(r_, wait_, "Accept, Prefer");
    finish(send(r_, 200, "application/json", out.take()));
  }

  Uuid id_;
  std::string cursor_;
  Wait wait_;
  std::int64_t deadline_ms_ = 0;
  bool over_ = false;
  bool known_ = false;  // it was read once
  core::Follow follow_;
  core::EventNeed need_{core::Callback<Result<const core::EventPage *>>::to<&EventsPage::got>(this)};
};

ngx_int_t get_events(ngx_http_request_t *r) {
  bool json_first = events_settings(r).json_first == 1;
  constexpr std::string_view kStreamFirst[] = {"text/event-stream", "application/json"};
  constexpr std::string_view kJsonFirst[] = {"application/json", "text/event-stream"};
  int chosen = wire::choose(header(r, "accept"), json_first ? kJsonFirst : kStreamFirst);
  if (chosen < 0)
    return send_problem(r, 406, "Events are given as text/event-stream or application/json.");
  std::string_view channel = ngx::evaluate(r, events_settings(r).channel);
  channel.remove_prefix(std::min(kChannel.size(), channel.size()));
  ngx_int_t rc = NGX_OK;
  auto id = addressed(r, channel, &rc);
  if (!id)
    return rc;
  std::string cursor = header(r, "last-event-id");
  if (cursor.empty())
    cursor = argument(r, "cursor").value_or("");

  if ((chosen == 0) == json_first) {
    auto wait = asked_wait(r, &rc);
    if (!wait)
      return rc;
    ngx_int_t room = wait->ms > 0 ? check_room(r) : NGX_OK;
    facts(r).delivery = "events";
    return room != NGX_OK ? room : ngx::make<EventsPage>(r->pool, r, *id, std::move(cursor), *wait)->start();
  }
  facts(r).delivery = "sse";
  if (!has_room(r) || process()->draining()) {
    // any status but 200 would stop EventSource for good
    add_header(r, "Cache-Control", "no-store");
    return send(r, 200, "text/event-stream", "retry: " + std::to_string(settings(r).retry_max) + "\n\n");
  }
  StreamOptions options{std::move(cursor), argument(r, "names").value_or("") != "off",
                        argument(r, "beat").value_or("") == "1"};
  return ngx::make<EventStream>(r->pool, r, *id, std::move(options))->start();
}

char *set_events(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *events = static_cast<EventsSettings *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &Settings::events, get_events) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  if (!ngx::view(words[1]).starts_with(kChannel))
    return config_error(cf, ngx::view(words[1]), "is no channel: job:<id> is what can be watched");
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    if (word == "default=json")
      events->json_first = 1;
    else if (word != "default=sse")
      return config_error(cf, word, "is no option of await_events: there is default=sse|json");
  }
  return compile(cf, words[1], &events->channel) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_events"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE12, set_events, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<EventsSettings, &EventsSettings::channel>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_events_module =
    await::http::plain_module(&await::http::context, await::http::commands);
