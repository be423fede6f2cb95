#include "ngx/held.h"

#include <new>
#include <utility>

#include "ngx/guard.h"
#include "ngx/tls.h"

namespace await::ngx {

Held::Held(ngx_http_request_t *r) : r_(r), handler_(r->connection->read->handler) {}

void Held::destroy(void *data) { delete static_cast<Held *>(data); }

void Held::belong(ngx_http_request_t *r) {
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, 0);
  if (cleanup == nullptr)
    throw std::bad_alloc();
  cleanup->data = this;
  cleanup->handler = destroy;
}

void Held::forsake(ngx_http_request_t *r) noexcept {
  guarded(r->connection->log, [r] {
    for (ngx_pool_cleanup_t *cleanup = r->pool->cleanup; cleanup != nullptr; cleanup = cleanup->next) {
      auto *held = static_cast<Held *>(cleanup->data);
      if (cleanup->handler == destroy && held->r_ == r && !std::exchange(held->finished_, true))
        held->leave();
    }
  });
}

void Held::disown() {
  for (ngx_pool_cleanup_t *cleanup = r_->pool->cleanup; cleanup != nullptr; cleanup = cleanup->next) {
    if (cleanup->handler == destroy && cleanup->data == this)
      cleanup->handler = nullptr;
  }
}

Answer Held::hold() {
  if (ngx_http_discard_request_body(r_) != NGX_OK)
    r_->keepalive = 0;
  ++r_->main->count;
  watch_client();
  return Answer::later();
}

void Held::watch_client() {
  r_->read_event_handler = ngx_http_test_reading;
  r_->write_event_handler = ngx_http_request_empty_handler;
  ngx_event_t *read = r_->connection->read;
  // edge-triggered: a FIN that was received before would not be reported again
  if (r_->stream == nullptr && read->ready) {
    ngx_post_event(read, &ngx_posted_events);
  }
  release_tls_buffer(r_);
  if (r_->stream != nullptr && read->handler == handler_ && !read->posted) {
    // called again when the frames that answer those received with the request (SETTINGS) have been written
    r_->read_event_handler = [](ngx_http_request_t *r) {
      release_tls_buffer(r);
      ngx_http_test_reading(r);
    };
    ngx_post_event(read, &ngx_posted_events);
  }
}

bool Held::park() {
  if (r_ == nullptr || finished_ || !Parked::possible(r_, handler_))
    return false;
  disown();
  parked_ = Parked::take(r_, handler_, *this);
  if (parked_ == nullptr) {
    belong(r_);
    return false;
  }
  r_ = nullptr;
  return true;
}

bool Held::revive() {
  if (parked_ == nullptr)
    return true;
  r_ = parked_->revive();
  parked_.reset();
  bool alive = r_ != nullptr && guarded(r_->connection->log, false, [this] {
                 belong(r_);
                 on_revive();
                 return true;
               });
  if (alive)
    return true;
  leave();
  if (r_ != nullptr) {
    disown();
    r_->connection->error = 1;
    finalize(r_, Answer::cut());
  }
  delete this;
  return false;
}

void Held::on_disconnect(bool forced) noexcept {
  ngx_connection_t *c = connection();
  guarded(c->log, [&] {
    c->error = 1;
    if (revive())
      finish(forced ? Answer::cut() : Answer::client_left());
  });
}

void Held::on_writable() noexcept {
  guarded(connection()->log, [this] { on_parked_writable(); });
}

void Held::on_readable() noexcept {
  guarded(connection()->log, [this] { on_parked_readable(); });
}

void Held::finish(Answer answer) {
  finished_ = true;  // but still in the list: nginx may still be writing to a slow client
  leave();
  finalize(r_, answer);  // usually frees the request, and this object with it
}

Answer Held::decline(Answer answer) {
  finished_ = true;
  leave();
  return answer;
}

void Held::cut() {
  connection()->error = 1;
  if (!revive())
    return;
  if (!std::exchange(finished_, true))
    leave();
  finalize_at_once(r_, Answer::cut());
}

}  // namespace await::ngx
