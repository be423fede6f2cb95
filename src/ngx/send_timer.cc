#include "ngx/send_timer.h"

#include <utility>

#if (NGX_LINUX)
#include <linux/sockios.h>
#endif

namespace await::ngx {

ngx_int_t SendTimer::after_write(const Writer &writer, bool waits) {
  ngx_event_t *event = writer.connection->write;
  // a subrequest whose turn has not come waits for the parts of the page before it, not for the client
  bool active = writer.request == nullptr || writer.connection->data == writer.request;
  if (active && !event->delayed) {
    if (waits) {
      std::uint32_t now = taken(writer);
      if (std::exchange(taken_, now) != now || !event->timer_set)
        ngx_add_timer(event, writer.conf.send_timeout);
    } else if (event->timer_set) {
      ngx_del_timer(event);
    }
  }
  return ngx_handle_write_event(event, writer.conf.send_lowat);
}

bool SendTimer::expired(const Writer &writer) {
  std::uint32_t now = taken(writer);
  if (std::exchange(taken_, now) == now)
    return true;
  writer.connection->write->timedout = 0;
  ngx_add_timer(writer.connection->write, writer.conf.send_timeout);
  return false;
}

/// The kernel reports a socket as writable when a third of its buffer is free. With a buffer of megabytes,
/// this can take a slow client longer than send_timeout, although it reads all the time. HTTP/2 streams share
/// a socket, so it tells nothing about one of them.
std::uint32_t SendTimer::taken(const Writer &writer) {
  int queued = 0;
#if (NGX_LINUX)
  bool shared = writer.request != nullptr && writer.request->http_version >= NGX_HTTP_VERSION_20;
  if (!shared && ioctl(writer.connection->fd, SIOCOUTQ, &queued) == -1)
    queued = 0;
#endif
  return static_cast<std::uint32_t>(writer.connection->sent) - static_cast<std::uint32_t>(queued);
}

bool is_write_buffered(const ngx_http_request_t *r) {
  return (r->connection->buffered & (NGX_LOWLEVEL_BUFFERED | NGX_HTTP_WRITE_BUFFERED)) != 0;
}

}  // namespace await::ngx
