#include "ngx/held.h"

#include "ngx/guard.h"
#include "ngx/pool.h"

namespace await::ngx {

Held::~Held() { clear_timer(); }

ngx_int_t Held::hold() {
  ++r_->main->count;
  watch_client();
  return NGX_DONE;
}

void Held::watch_client() {
  r_->read_event_handler = ngx_http_test_reading;
  r_->write_event_handler = ngx_http_request_empty_handler;
  ngx_event_t *read = r_->connection->read;
  // edge-triggered: a FIN that came before this would not be told again
  if (r_->stream == nullptr && read->ready) {
    ngx_post_event(read, &ngx_posted_events);
  }
}

void Held::set_timer(std::int64_t ms) {
  if (clock_ == nullptr) {
    clock_ = make<Clock>(r_->pool);
    clock_->connection.fd = static_cast<ngx_socket_t>(-1);
    clock_->connection.data = this;
    clock_->event.data = &clock_->connection;
    clock_->event.handler = on_timer;
    clock_->event.log = r_->connection->log;
  }
  ngx_add_timer(&clock_->event, static_cast<ngx_msec_t>(ms));
}

void Held::clear_timer() {
  if (clock_ != nullptr && clock_->event.timer_set) {
    ngx_del_timer(&clock_->event);
  }
}

void Held::on_timer(ngx_event_t *event) noexcept {
  auto *self = static_cast<Held *>(static_cast<ngx_connection_t *>(event->data)->data);
  guarded(event->log, [self] { self->on_time(); });
}

void Held::finish(ngx_int_t rc) {
  ngx_connection_t *connection = r_->connection;
  finished_ = true;  // and still in the list: nginx may have to write to a slow client for a while
  clear_timer();
  leave();
  ngx_http_finalize_request(r_, rc);
  ngx_http_run_posted_requests(connection);
}

void Held::cut() {
  ngx_connection_t *connection = r_->connection;
  connection->error = 1;
  if (!finished_) {
    finish(NGX_ERROR);
    return;
  }
  ngx_http_finalize_request(r_, NGX_ERROR);
  ngx_http_run_posted_requests(connection);
}

}  // namespace await::ngx
