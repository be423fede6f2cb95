#include "ngx/parked.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "ngx/guard.h"
#include "ngx/str.h"
#include "ngx/tls.h"

namespace await::ngx {
namespace {

constexpr std::size_t kMaxHead = 4096;  // a larger one is not worth parking
constexpr std::size_t kMaxRest = 1024;  // variables and captures

template <class Visit>
void each_header(ngx_http_request_t *r, Visit visit) {
  for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; part = part->next) {
    auto *headers = static_cast<ngx_table_elt_t *>(part->elts);
    for (ngx_uint_t i = 0; i < part->nelts; ++i)
      visit(headers[i]);
  }
}

std::size_t head_size(ngx_http_request_t *r) {
  std::size_t size = r->request_line.len + 2;
  each_header(r, [&](const ngx_table_elt_t &h) { size += h.key.len + 2 + h.value.len + 2; });
  return size + 2;
}

template <class Visit>
void each_variable(ngx_http_request_t *r, Visit visit) {
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
  for (ngx_uint_t i = 0; i < core->variables.nelts; ++i) {
    const ngx_http_variable_value_t &value = r->variables[i];
    if (value.valid && !value.no_cacheable)
      visit(static_cast<std::uint16_t>(i), value);
  }
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// The position of the value of a variable in the request line, which is the start of the saved header;
/// kBehind or kBehindHex if it is not there.
std::uint16_t place_of(ngx_http_request_t *r, const ngx_http_variable_value_t &value) {
  std::string_view text(reinterpret_cast<char *>(value.data), value.len);
  auto found = view(r->request_line).find(text);
  if (found != std::string_view::npos)
    return static_cast<std::uint16_t>(found);
  bool hex = text.size() % 2 == 0 && text.find_first_not_of(kHexDigits) == text.npos;
  return hex ? kBehindHex : kBehind;
}

/// The number of bytes that follow the fields of a variable.
std::size_t size_behind(std::uint16_t place, std::size_t length) {
  return place == kBehind ? length : place == kBehindHex ? length / 2 : 0;
}

char hex_byte(const u_char *digits) {
  return static_cast<char>(kHexDigits.find(static_cast<char>(digits[0])) << 4 |
                           kHexDigits.find(static_cast<char>(digits[1])));
}

/// The body of the request and the fields of a response in progress are freed with it, so the variables that
/// show them are evaluated now. Those of the connection are not, because they depend on what is kept.
void read_what_goes(ngx_http_request_t *r) {
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
  auto *variables = static_cast<ngx_http_variable_t *>(core->variables.elts);
  for (ngx_uint_t i = 0; i < core->variables.nelts; ++i) {
    std::string_view name = view(variables[i].name);
    bool body = name == "request_body" && r->request_body != nullptr;
    if (body || (r->header_sent && name.starts_with("sent_") && name != "sent_http_connection" &&
                 name != "sent_http_keep_alive"))
      ngx_http_get_indexed_variable(r, i);
  }
}

std::size_t variables_size(ngx_http_request_t *r) {
  std::size_t size = 0;
  each_variable(r, [&](std::uint16_t, const ngx_http_variable_value_t &value) {
    size += 3 * sizeof(std::uint16_t) + size_behind(place_of(r, value), value.len);
  });
  return size;
}

#if (NGX_PCRE)
/// How many offsets of the last match to keep. A match without groups has none that can be read ($1 to $9),
/// although it counts two: the array is missing then, or that of an earlier match.
ngx_uint_t kept_captures(ngx_http_request_t *r) { return r->ncaptures > 2 ? r->ncaptures : 0; }

std::size_t captured(ngx_http_request_t *r) {
  int last = 0;
  for (ngx_uint_t i = 0; i < kept_captures(r); ++i)
    last = ngx_max(last, r->captures[i]);
  return static_cast<std::size_t>(last);
}
#endif

/// Whether a cleanup (of limit_conn, an upstream) must run when the request ends.
bool has_cleanup(ngx_http_request_t *r) {
  for (ngx_http_cleanup_t *cleanup = r->cleanup; cleanup != nullptr; cleanup = cleanup->next) {
    if (cleanup->handler != nullptr)
      return true;
  }
  return false;
}

/// Whether a filter has work to do at the end of the response, or counts its bytes.
bool has_filters(ngx_http_request_t *r) {
  return r->filter_need_in_memory || r->filter_need_temporary || r->preserve_body || r->limit_rate != 0 ||
         r->headers_out.content_encoding != nullptr || r->expect_trailers ||
         (r->main_filter_need_in_memory && r->connection->ssl == nullptr);
}

/// Whether other modules have set fields of the response, or the method is not that of the header
/// (error_page).
bool has_changes(ngx_http_request_t *r) {
  return r->limit_rate_set || r->limit_rate_after_set || r->headers_out.headers.part.nelts > 0 ||
         r->headers_out.trailers.part.nelts > 0 || r->method_name.data != r->request_line.data;
}

bool is_rewritten(ngx_http_request_t *r) {
  std::string_view asked = view(r->unparsed_uri);
  std::string_view path = asked.substr(0, asked.find('?'));
  std::string_view args = path.size() == asked.size() ? std::string_view() : asked.substr(path.size() + 1);
  return view(r->uri) != path || view(r->args) != args;
}

void free_buffers(ngx_connection_t *c, ngx_http_connection_t *hc) {
  for (ngx_chain_t **list : {&hc->free, &hc->busy}) {
    while (*list != nullptr) {
      ngx_chain_t *link = *list;
      *list = link->next;
      ngx_pfree(c->pool, link->buf->start);
      ngx_free_chain(c->pool, link);
    }
  }
  hc->nbusy = 0;
  ngx_buf_t *buffer = c->buffer;
  if (buffer != nullptr && ngx_pfree(c->pool, buffer->start) == NGX_OK)
    buffer->pos = nullptr;  // as nginx does for idle connections
  release_tls_buffer(c);
}

}  // namespace

/// Writes and reads the bytes that follow a Parked in memory.
struct Parked::Tail {
  char *at;
  void put(const void *bytes, std::size_t size) {
    std::memcpy(at, bytes, size);
    at += size;
  }
  void put(std::string_view text) { put(text.data(), text.size()); }
  void put_head(ngx_http_request_t *r) {
    put(view(r->request_line));
    put("\r\n");
    each_header(r, [&](const ngx_table_elt_t &h) {
      put(view(h.key));
      put(": ");
      put(view(h.value));
      put("\r\n");
    });
    put("\r\n");
  }
};

std::unique_ptr<Parked> Parked::make(std::size_t tail) {
  void *memory = ::operator new(sizeof(Parked) + tail, std::nothrow);
  return std::unique_ptr<Parked>(memory != nullptr ? new (memory) Parked : nullptr);
}

/// If there is no memory for it, the address of the peer is used.
void Parked::keep_address(std::unique_ptr<Parked> &self, std::size_t size, std::string_view address,
                          std::string_view text) {
  std::unique_ptr<Parked> larger = make(size + address.size() + text.size());
  if (larger == nullptr)
    return;
  *larger = *self;
  Tail out{reinterpret_cast<char *>(larger.get() + 1)};
  out.put(self->tail(), size);
  out.put(address);
  out.put(text);
  larger->socklen_ = static_cast<std::uint8_t>(address.size());
  larger->addr_text_size_ = static_cast<std::uint8_t>(text.size());
  self = std::move(larger);
}

bool Parked::possible(ngx_http_request_t *r, ngx_event_handler_pt handler) {
  ngx_connection_t *c = r->connection;
  ngx_http_connection_t *hc = r->http_connection;
  bool alone = r == r->main && r->count == 1 && r->blocked == 0 && r->stream == nullptr && c->data == r &&
               r->postponed == nullptr && r->posted_requests == nullptr && r->upstream == nullptr &&
               !has_cleanup(r) && r->limit_conn_status == 0 && r->err_status == 0;
  bool at_rest = !r->reading_body && !r->discard_body && r->buffered == 0 && c->buffered == 0 &&
                 r->out == nullptr && r->header_in != nullptr && r->header_in->pos == r->header_in->last &&
                 !r->aio && !c->error && !c->close && !c->timedout && !c->read->eof &&
                 c->read->handler == handler && c->write->handler == handler && !c->write->delayed;
  if (!alone || !at_rest || hc == nullptr || c->buffer == nullptr || r->http_version < NGX_HTTP_VERSION_10 ||
      r->schema.len > 0)
    return false;
  if (r->header_sent ? has_filters(r) : has_changes(r))
    return false;
#if (NGX_PCRE)
  if (captured(r) > kMaxRest)
    return false;
#endif
  if (r->header_sent || r->request_body != nullptr)
    read_what_goes(r);
  return head_size(r) <= kMaxHead && r->uri.len + r->args.len + r->exten.len <= kMaxHead &&
         variables_size(r) <= kMaxRest;
}

/// The layout of the memory behind the object, in this order; revive() reads it in the same order:
///   the header of the request, head_size_ bytes
///   if rewritten_: uri, args and exten
///   if captures_ > 0: the offsets of the captures, then captures_size_ bytes of the text they refer to
///   variables_ times: index, length and position, 16 bits each; then the value if the position is kBehind,
///   or
///     half as many bytes if it is kBehindHex
///   if socklen_ > 0: the address of the client, then its text (keep_address())
struct Parked::Layout {
  std::size_t head = 0;      // bytes of the header
  std::size_t size = 0;      // bytes of everything, without the address
  std::size_t captures = 0;  // bytes of the text of the captures
  bool rewritten = false;
};

Parked::Layout Parked::layout_of(ngx_http_request_t *r) {
  Layout layout;
  layout.head = head_size(r);
  layout.rewritten = is_rewritten(r);
  layout.size = layout.head + variables_size(r);
  if (layout.rewritten)
    layout.size += r->uri.len + r->args.len + r->exten.len;
#if (NGX_PCRE)
  bool of_uri = r->captures_data == r->uri.data;  // as those of a location are: the URI is kept anyway
  layout.captures = of_uri ? 0 : captured(r);
  layout.size += kept_captures(r) * sizeof(int) + layout.captures;
#endif
  return layout;
}

std::unique_ptr<Parked> Parked::take(ngx_http_request_t *r, ngx_event_handler_pt handler, Owner &owner) {
  ngx_connection_t *c = r->connection;
  // realip restores the address of the peer when the request is freed, so the current one is copied first
  sockaddr *address = c->sockaddr;
  sockaddr_storage addressed{};
  char text[NGX_SOCKADDR_STRLEN];
  std::size_t text_size = std::min(c->addr_text.len, sizeof text);
  std::memcpy(&addressed, address, std::min<std::size_t>(c->socklen, sizeof addressed));
  std::memcpy(text, c->addr_text.data, text_size);
  socklen_t socklen = c->socklen;

  Layout layout = layout_of(r);
  std::unique_ptr<Parked> self = make(layout.size);
  if (self == nullptr)
    return nullptr;
  self->owner_ = &owner;
  self->handler_ = handler;
  self->save_fields(r);
  self->save_tail(r, layout);
  free_request(r);
  // from here on `r` is freed; only the connection and the copies above may be used
  if (c->sockaddr != address)
    keep_address(self, layout.size, {reinterpret_cast<char *>(&addressed), socklen}, {text, text_size});
  free_buffers(c, self->hc_);
  self->take_events();
  return self;
}

void Parked::save_fields(ngx_http_request_t *r) {
  connection_ = r->connection;
  hc_ = r->http_connection;
  srv_conf_ = r->srv_conf;
  loc_conf_ = r->loc_conf;
  start_sec_ = r->start_sec;
  start_msec_ = static_cast<std::uint16_t>(r->start_msec);
  request_length_ = static_cast<std::uint32_t>(r->request_length);
  header_size_ = static_cast<std::uint32_t>(r->header_size);
  header_sent_ = r->header_sent;
  status_ = static_cast<std::uint16_t>(r->headers_out.status);
  chunked_ = r->chunked;
  keepalive_ = r->keepalive;
  lingering_close_ = r->lingering_close;
  internal_ = r->internal;
  error_page_ = r->error_page;
  valid_location_ = r->valid_location;
  uri_changes_ = r->uri_changes;
  limit_req_status_ = r->limit_req_status;
  pipeline_ = r->pipeline;
}

/// Writes exactly layout.size bytes, for which make() has reserved memory.
void Parked::save_tail(ngx_http_request_t *r, const Layout &layout) {
  Tail out{reinterpret_cast<char *>(this + 1)};
  head_size_ = static_cast<std::uint32_t>(layout.head);
  out.put_head(r);
  rewritten_ = layout.rewritten;
  if (layout.rewritten) {
    uri_size_ = static_cast<std::uint16_t>(r->uri.len);
    args_size_ = static_cast<std::uint16_t>(r->args.len);
    exten_size_ = static_cast<std::uint16_t>(r->exten.len);
    out.put(view(r->uri));
    out.put(view(r->args));
    out.put(view(r->exten));
  }
#if (NGX_PCRE)
  captures_ = static_cast<std::uint16_t>(kept_captures(r));
  captures_size_ = static_cast<std::uint16_t>(layout.captures);
  if (captures_ > 0) {
    out.put(r->captures, captures_ * sizeof(int));
    out.put(r->captures_data, layout.captures);
  }
#endif
  each_variable(r, [&](std::uint16_t index, const ngx_http_variable_value_t &value) {
    std::uint16_t words[3] = {index, static_cast<std::uint16_t>(value.len), place_of(r, value)};
    out.put(words, sizeof words);
    if (words[2] == kBehind)
      out.put(value.data, value.len);
    for (unsigned i = 0; words[2] == kBehindHex && i < value.len; i += 2) {
      char byte = hex_byte(value.data + i);
      out.put(&byte, 1);
    }
    ++variables_;
  });
}

/// Frees the request without logging or counting it: it will be restored.
void Parked::free_request(ngx_http_request_t *r) {
  ngx_connection_t *c = r->connection;
  r->logged = 1;
  r->stat_writing = 0;
  r->stat_reading = 0;
  auto *log = static_cast<ngx_http_log_ctx_t *>(c->log->data);
  ngx_http_free_request(r, 0);
  log->current_request = nullptr;  // lines about the connection must not show the freed request
  c->log->action = const_cast<char *>("holding a parked connection");
  c->destroyed = 1;  // nginx, whose handler may be on the stack, must not access the request any more
  c->requests--;     // revive() creates a request, which counts again
}

/// The events of the connection come to this object from now on.
void Parked::take_events() {
  ngx_connection_t *c = connection_;
  for (ngx_event_t *event : {c->read, c->write}) {
    if (event->timer_set) {
      ngx_del_timer(event);
    }
  }
  c->data = this;
  c->read->handler = on_read;
  c->write->handler = on_write;
  // edge-triggered: what has arrived before would not be reported again
  if (c->read->ready) {
    ngx_post_event(c->read, &ngx_posted_events);
  }
}

void Parked::on_read(ngx_event_t *event) noexcept {
  auto *c = static_cast<ngx_connection_t *>(event->data);
  auto *self = static_cast<Parked *>(c->data);
  // each call of the owner may destroy it, and this object with it: nothing is accessed afterwards
  if (c->close) {  // worker_shutdown_timeout
    self->owner_->on_disconnect(true);
    return;
  }
  if (self->owner_->reads_input()) {
    self->owner_->on_readable();
    return;
  }
  bool gone = event->pending_eof != 0;
  if (!gone) {
    char byte;
    ssize_t n = ::recv(c->fd, &byte, 1, MSG_PEEK);
    gone = n == 0 || (n < 0 && ngx_socket_errno != NGX_EAGAIN);
    if (n < 0 && !gone && c->ssl == nullptr)
      event->ready = 0;  // TLS may have read and decrypted the next request already
  }
  if (gone) {
    event->eof = 1;
    self->owner_->on_disconnect(false);
    return;
  }
  // pipelined requests stay in the socket until their turn
  if (ngx_handle_read_event(event, 0) != NGX_OK)
    self->owner_->on_disconnect(false);
}

void Parked::on_write(ngx_event_t *event) noexcept {
  auto *c = static_cast<ngx_connection_t *>(event->data);
  static_cast<Parked *>(c->data)->owner_->on_writable();  // may destroy the owner, and this with it
}

}  // namespace await::ngx
