// ngx_http_await_auth_ticket_module: who asks, by a ticket that counts once; in the access phase, as
// auth_jwt.cc has it. Whether it was used before only the database knows, so the request waits for it.

#include "base/text.h"
#include "core/ticket_batcher.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/exchange/access.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/modules/dispatch.h"
#include "http/runtime/process.h"
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

ngx_int_t refuse(ngx_http_request_t *r, const char *why) {
  std::string told = std::string("ticket rejected: ") + why;
  return challenge(r, "Ticket realm=\"await\", error=\"invalid_ticket\"",
                   "The ticket is invalid, expired or already used.", told.c_str());
}

/// Waits for the database's word on a request's ticket, then lets nginx go on with the request.
/// Kept alive by: the request's pool.
class TicketCheck {
 public:
  TicketCheck(ngx_http_request_t *r, std::string text) : r_(r), text_(std::move(text)) {}

  void start() {
    if (process()->secret().empty())
      process()->introduce(guest_);
    else
      read();
  }

  /// What the access phase is told.
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
    return refuse(r_, why_);
  }

 private:
  /// A ticket names channels, and other modules' handlers know of none: it does not open what they serve.
  ngx_int_t check_place() {
    if (r_->internal || r_->content_handler == dispatch)
      return NGX_OK;
    ngx_log_error(NGX_LOG_INFO, r_->connection->log, 0,
                  "await: answering 403: a ticket is valid only in a location with an await action");
    return NGX_HTTP_FORBIDDEN;
  }

  enum class State { waiting, good, refused, unavailable };

  void met(Done) {
    bool reading = ngx::guarded(r_->connection->log, false, [this] {
      if (process()->secret().empty() || (looked_ && !process()->keys_are_fresh()))
        return false;
      read();
      return true;
    });
    if (!reading)
      state_ = State::unavailable;
    if (state_ != State::waiting)
      go_on();
  }

  void read() {
    auto [seal, ticket] = wire::unseal(text_, process()->keys());
    bool foreign = seal == wire::Unsealed::Seal::foreign ||
                   (seal == wire::Unsealed::Seal::good && ticket.timeline != process()->timeline());
    if (foreign && !looked_) {  // the key may be new, or the database another since a moment ago
      looked_ = true;
      process()->look_for_keys(guest_);
    } else if (foreign || seal != wire::Unsealed::Seal::good) {
      refused("malformed, or signed with an unknown key");
    } else if (ticket.until_ms <= process()->database_ms()) {
      refused("expired");
    } else {
      ticket_ = std::move(ticket);
      entrant_.ticket = {ticket_.id, ticket_.owner, ticket_.issued_ms, ticket_.until_ms};
      process()->turnstile().add(entrant_);
    }
  }

  void settled(Result<bool> good) {
    state_ = State::unavailable;
    if (good && *good && process()->revocations().is_revoked(ticket_.owner, ticket_.issued_ms))
      refused("its owner was revoked by await.revoke()");
    else if (good && *good)
      ngx::guarded(r_->connection->log, [this] { admit(); });
    else if (good)
      refused("already used (tickets are single-use), or its owner was revoked by await.revoke()");
    go_on();
  }

  void refused(const char *why) {
    state_ = State::refused;
    why_ = why;
  }

  /// nginx runs the phases again, in an event of its own, and asks for the outcome.
  void go_on() { ngx_post_event(r_->connection->write, &ngx_posted_events); }

  void admit() {
    RequestInfo &known = facts(r_);
    known.user = ticket_.owner;
    known.verified = true;
    known.ticket_channels = ticket_.channels;
    known.issued_ms = ticket_.issued_ms;
    known.expires_s = ticket_.session_s;
    settle_identity(r_);
    state_ = State::good;
  }

  ngx_http_request_t *r_;
  std::string text_;
  State state_ = State::waiting;
  const char *why_ = "";  // it is refused
  bool looked_ = false;   // for a key that was not known
  wire::Ticket ticket_;
  Process::Guest guest_{core::Callback<Done>::to<&TicketCheck::met>(this)};
  core::TicketRedemption entrant_{core::Callback<Result<bool>>::to<&TicketCheck::settled>(this)};
};

ngx_int_t check_ticket(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    auto &conf =
        *static_cast<AuthTicketConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_auth_ticket_module));
    if (conf.on != 1)
      return NGX_DECLINED;
    RequestInfo &known = facts(r);
    if (known.ticket_check != nullptr)  // again: nginx asks, or an internal redirect
      return static_cast<TicketCheck *>(known.ticket_check)->outcome();
    ngx_str_t value;
    if (ngx_http_arg(r, reinterpret_cast<u_char *>(const_cast<char *>("ticket")), 6, &value) != NGX_OK ||
        value.len == 0)
      return challenge(r, "Ticket realm=\"await\"", "A ticket is required.");
    std::string text(ngx::view(value));
    blank_argument(r, text);
    if (process() == nullptr)
      return deny_unavailable(r, "The server is starting; retry later.");
    auto *check = ngx::make<TicketCheck>(r->pool, r, std::move(text));
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
