// ngx_http_await_auth_ticket_module: authenticates a request by a single-use ticket, in the access phase.
// Only the database knows whether a ticket was used before, so the request waits for it.

#include "base/text.h"
#include "core/ticket_batcher.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/exchange/access.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/guard.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "wire/ticket.h"

extern ngx_module_t ngx_http_await_auth_ticket_module;

namespace await::http {
namespace {

struct AuthTicketMain {
  ngx_flag_t used;
};
struct AuthTicketConf {
  ngx_flag_t on;
};

ngx_int_t challenge_again(ngx_http_request_t *r, const char *why) {
  std::string reason = std::string("ticket rejected: ") + why;
  return challenge(r, "Ticket realm=\"await\", error=\"invalid_ticket\"",
                   "The ticket is invalid, expired or already used.", reason.c_str());
}

/// Waits until the database has checked the ticket of a request, then lets nginx continue with the request.
/// Kept alive by: the request's pool.
class TicketCheck {
 public:
  TicketCheck(ngx_http_request_t *r, Runtime &runtime, std::string text)
      : r_(r), runtime_(runtime), text_(std::move(text)) {}

  void start() {
    if (runtime_.keys().current().empty())
      runtime_.backends().wait_for_greeting(waiter_);
    else
      read();
  }

  /// The result for the access phase.
  ngx_int_t outcome() {
    switch (state_) {
      case State::waiting:
        return NGX_AGAIN;
      case State::good:
        return check_place();
      case State::unavailable:
        return deny_unavailable(r_, "Tickets cannot be verified at the moment; retry later.");
      case State::refused:
        break;
    }
    return challenge_again(r_, why_);
  }

 private:
  /// A ticket permits channels only. Handlers of other modules do not check them, so it is not valid there.
  ngx_int_t check_place() {
    if (r_->internal || r_->content_handler == dispatch)
      return NGX_OK;
    ngx_log_error(NGX_LOG_INFO, r_->connection->log, 0,
                  "await: answering 403: a ticket is valid only in a location with an await action");
    return NGX_HTTP_FORBIDDEN;
  }

  enum class State { waiting, good, refused, unavailable };

  void on_greeting(Done) {
    bool reading = ngx::guarded(r_->connection->log, false, [this] {
      if (runtime_.keys().current().empty() || (refreshed_ && !runtime_.keys().is_fresh()))
        return false;
      read();
      return true;
    });
    if (!reading)
      state_ = State::unavailable;
    if (state_ != State::waiting)
      resume_phases();
  }

  void read() {
    auto [seal, ticket] = wire::unseal(text_, runtime_.keys().all());
    bool foreign = seal == wire::Unsealed::Seal::foreign ||
                   (seal == wire::Unsealed::Seal::good && ticket.timeline != runtime_.backends().timeline());
    if (foreign && !refreshed_) {  // the key or the timeline may be new
      refreshed_ = true;
      runtime_.keys().refresh(waiter_);
    } else if (foreign || seal != wire::Unsealed::Seal::good) {
      refuse("malformed, or signed with an unknown key");
    } else if (ticket.until_ms <= runtime_.backends().database_ms()) {
      refuse("expired");
    } else {
      ticket_ = std::move(ticket);
      redemption_.ticket = {ticket_.id, ticket_.owner, ticket_.issued_ms, ticket_.until_ms};
      runtime_.ticket_uses().add(redemption_);
    }
  }

  void on_redeemed(Result<bool> good) {
    state_ = State::unavailable;
    if (good && *good && runtime_.lifecycle().is_revoked(ticket_.owner, ticket_.issued_ms))
      refuse("its owner was revoked by await.revoke()");
    else if (good && *good)
      ngx::guarded(r_->connection->log, [this] { admit(); });
    else if (good)
      refuse("already used (tickets are single-use), or its owner was revoked by await.revoke()");
    resume_phases();
  }

  void refuse(const char *why) {
    state_ = State::refused;
    why_ = why;
  }

  /// nginx runs the phases again, in another event, and calls outcome().
  void resume_phases() { ngx_post_event(r_->connection->write, &ngx_posted_events); }

  void admit() {
    RequestInfo &known = request_info(r_);
    known.user = ticket_.owner;
    known.verified = true;
    known.ticket_channels = ticket_.channels;
    known.issued_ms = ticket_.issued_ms;
    known.expires_s = ticket_.session_s;
    settle_identity(r_);
    state_ = State::good;
  }

  ngx_http_request_t *r_;
  Runtime &runtime_;
  std::string text_;
  State state_ = State::waiting;
  const char *why_ = "";    // it was refused
  bool refreshed_ = false;  // the keys, because one was not known
  wire::Ticket ticket_;
  GreetingWaiter waiter_{core::Callback<Done>::to<&TicketCheck::on_greeting>(this)};
  core::TicketRedemption redemption_{core::Callback<Result<bool>>::to<&TicketCheck::on_redeemed>(this)};
};

ngx_int_t check_ticket(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    auto &conf =
        *static_cast<AuthTicketConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_auth_ticket_module));
    if (conf.on != 1)
      return NGX_DECLINED;
    RequestInfo &known = request_info(r);
    if (known.ticket_check != nullptr)  // nginx runs the phases again, maybe after an internal redirect
      return static_cast<TicketCheck *>(known.ticket_check)->outcome();
    ngx_str_t value;
    if (ngx_http_arg(r, reinterpret_cast<u_char *>(const_cast<char *>("ticket")), 6, &value) != NGX_OK ||
        value.len == 0)
      return challenge(r, "Ticket realm=\"await\"", "A ticket is required.");
    std::string text(ngx::view(value));
    blank_argument(r, text);
    Runtime *worker = runtime();
    if (worker == nullptr)
      return deny_unavailable(r, "The server is starting; retry later.");
    auto *check = ngx::make<TicketCheck>(r->pool, r, *worker, std::move(text));
    known.ticket_check = check;
    check->start();
    return check->outcome();
  });
}

char *set_auth_ticket(ngx_conf_t *cf, ngx_command_t *command, void *data) {
  char *rc = ngx_conf_set_flag_slot(cf, command, data);
  auto *main = static_cast<AuthTicketMain *>(
      ngx_http_conf_get_module_main_conf(cf, ngx_http_await_auth_ticket_module));
  if (static_cast<AuthTicketConf *>(data)->on == 1)
    main->used = 1;
  return rc;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_auth_ticket"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG, set_auth_ticket,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(AuthTicketConf, on), nullptr},
    ngx_null_command,
};
// clang-format on

void *create_main(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(AuthTicketMain)); }

void *create_location(ngx_conf_t *cf) {
  auto *conf = static_cast<AuthTicketConf *>(ngx_pcalloc(cf->pool, sizeof(AuthTicketConf)));
  if (conf != nullptr)
    conf->on = NGX_CONF_UNSET;
  return conf;
}

char *merge_location(ngx_conf_t *, void *parent, void *child) {
  auto &outer = *static_cast<AuthTicketConf *>(parent);
  auto &inner = *static_cast<AuthTicketConf *>(child);
  ngx_conf_merge_value(inner.on, outer.on, 0);
  return NGX_CONF_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  auto *main = static_cast<AuthTicketMain *>(
      ngx_http_conf_get_module_main_conf(cf, ngx_http_await_auth_ticket_module));
  return main->used == 0 ? NGX_OK : add_access_handler(cf, check_ticket);
}

ngx_http_module_t context = {nullptr, postconfigure, create_main,     nullptr,
                             nullptr, nullptr,       create_location, merge_location};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_auth_ticket_module =
    await::http::plain_module(&await::http::context, await::http::commands);
