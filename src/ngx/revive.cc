// The second half of Parked: restores a request from what was kept.

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "ngx/guard.h"
#include "ngx/parked.h"
#include "ngx/str.h"

// In nginx only if it was built with stub_status; null otherwise.
extern "C" {
extern ngx_atomic_t *ngx_stat_reading __attribute__((weak));
extern ngx_atomic_t *ngx_stat_writing __attribute__((weak));
extern ngx_atomic_t *ngx_stat_requests __attribute__((weak));
}

namespace await::ngx {
namespace {

void add(ngx_atomic_t *const *counter, ngx_atomic_int_t n) {
  if (counter != nullptr && *counter != nullptr) {
    (void)ngx_atomic_fetch_add(*counter, n);
  }
}

/// The port as text, as realip formats it.
std::string port_text(sockaddr *address) {
  in_port_t port = ngx_inet_get_port(address);
  return port != 0 ? std::to_string(port) : std::string();
}

}  // namespace

ngx_http_request_t *Parked::revive() {
  ngx_connection_t *c = connection_;
  ngx_buf_t *buffer = c->buffer;
  auto size = std::max(static_cast<std::size_t>(buffer->end - buffer->start), std::size_t{head_size_});
  if (buffer->pos == nullptr || size > static_cast<std::size_t>(buffer->end - buffer->start)) {
    buffer->start = static_cast<u_char *>(ngx_palloc(c->pool, size));
    buffer->end = buffer->start + size;
  }
  c->data = hc_;
  ngx_http_request_t *r = buffer->start != nullptr ? ngx_http_create_request(c) : nullptr;
  if (r == nullptr) {
    add(&ngx_stat_writing, -1);
    c->destroyed = 1;
    ngx_close_connection(c);
    return nullptr;
  }
  add(&ngx_stat_reading, -1);
  add(&ngx_stat_requests, -1);
  r->stat_reading = 0;
  r->stat_writing = 1;
  c->data = r;
  c->destroyed = 0;
  buffer->pos = buffer->start;
  buffer->last = ngx_cpymem(buffer->start, tail(), head_size_);
  r->header_in = buffer;
  // it has been parsed before, so only memory allocation can fail
  bool done = guarded(c->log, false, [&] { return parse(r) && restore(r); });
  if (!done) {
    ngx_http_free_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    ngx_http_close_connection(c);
    return nullptr;
  }
  return r;
}

bool Parked::parse(ngx_http_request_t *r) {
  if (ngx_http_parse_request_line(r, r->header_in) != NGX_OK)
    return false;
  r->request_line.len = static_cast<std::size_t>(r->request_end - r->request_start);
  r->request_line.data = r->request_start;
  r->method_name.len = static_cast<std::size_t>(r->method_end - r->request_start) + 1;
  r->method_name.data = r->request_line.data;
  if (r->http_protocol.data != nullptr)
    r->http_protocol.len = static_cast<std::size_t>(r->request_end - r->http_protocol.data);
  if (ngx_http_process_request_uri(r) != NGX_OK ||
      ngx_list_init(&r->headers_in.headers, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK)
    return false;
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
  while (true) {
    ngx_int_t rc = ngx_http_parse_header_line(r, r->header_in, 1);
    if (rc == NGX_HTTP_PARSE_HEADER_DONE)
      return true;
    auto *h = rc == NGX_OK ? static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_in.headers)) : nullptr;
    if (h == nullptr)
      return false;
    *h = ngx_table_elt_t{};
    h->hash = r->header_hash;
    h->key = {static_cast<std::size_t>(r->header_name_end - r->header_name_start), r->header_name_start};
    h->key.data[h->key.len] = '\0';
    h->value = {static_cast<std::size_t>(r->header_end - r->header_start), r->header_start};
    h->value.data[h->value.len] = '\0';
    h->lowcase_key = static_cast<u_char *>(ngx_pnalloc(r->pool, h->key.len));
    if (h->lowcase_key == nullptr)
      return false;
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);
    auto *known = static_cast<ngx_http_header_t *>(
        ngx_hash_find(&core->headers_in_hash, h->hash, h->lowcase_key, h->key.len));
    if (known != nullptr && known->handler(r, h, known->offset) != NGX_OK)
      return false;
  }
}

/// Reads the memory behind the object in the order in which save_tail() has written it: each step returns
/// where the next begins.
bool Parked::restore(ngx_http_request_t *r) {
  restore_fields(r);
  const char *at = tail() + head_size_;  // parse() has read the header
  at = restore_uri(r, at);
  at = restore_captures(r, at);
  restore_variables(r, at);
  ngx_connection_t *c = connection_;
  r->read_event_handler = ngx_http_block_reading;
  r->write_event_handler = ngx_http_request_empty_handler;
  c->read->handler = c->write->handler = handler_;
  return true;
}

void Parked::restore_fields(ngx_http_request_t *r) {
  r->srv_conf = srv_conf_;
  r->loc_conf = loc_conf_;
  auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  ngx_set_connection_log(connection_, core->error_log);
  r->start_sec = start_sec_;
  r->start_msec = start_msec_;
  r->request_length = request_length_;
  r->header_size = header_size_;
  r->header_sent = header_sent_;
  r->chunked = chunked_;
  r->keepalive = keepalive_;
  r->lingering_close = lingering_close_;
  r->internal = internal_;
  r->error_page = error_page_;
  r->valid_location = valid_location_;
  r->uri_changes = uri_changes_;
  r->limit_req_status = limit_req_status_;
  r->pipeline = pipeline_;
  r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
  if (header_sent_)
    r->headers_out.status = status_;
}

/// The URI as `rewrite` has left it. If nothing has changed it, parse() has it from the header.
const char *Parked::restore_uri(ngx_http_request_t *r, const char *at) {
  if (!rewritten_)
    return at;
  r->uri = copy(r->pool, {at, uri_size_});
  at += uri_size_;
  r->args = copy(r->pool, {at, args_size_});
  at += args_size_;
  r->exten = copy(r->pool, {at, exten_size_});
  r->valid_unparsed_uri = 0;
  return at + exten_size_;
}

/// What $1 and the like refer to: offsets into a text, which is the URI if none was kept.
const char *Parked::restore_captures(ngx_http_request_t *r, const char *at) {
#if (NGX_PCRE)
  if (captures_ == 0)
    return at;
  r->ncaptures = captures_;
  r->captures = reinterpret_cast<int *>(ngx_palloc(r->pool, captures_ * sizeof(int)));
  if (r->captures == nullptr)
    throw std::bad_alloc();
  std::memcpy(r->captures, at, captures_ * sizeof(int));
  at += captures_ * sizeof(int);
  r->captures_data = captures_size_ > 0 ? copy(r->pool, {at, captures_size_}).data : r->uri.data;
  at += captures_size_;
  r->realloc_captures = 1;  // the array has no room for a larger match
#else
  (void)r;
#endif
  return at;
}

namespace {

/// The bytes in hexadecimal.
ngx_str_t expanded(ngx_pool_t *pool, std::string_view bytes) {
  ngx_str_t text = copy(pool, std::string(2 * bytes.size(), '\0'));
  ngx_hex_dump(text.data, reinterpret_cast<u_char *>(const_cast<char *>(bytes.data())), bytes.size());
  return text;
}

}  // namespace

void Parked::restore_variables(ngx_http_request_t *r, const char *at) {
  for (unsigned i = 0; i < variables_; ++i) {
    std::uint16_t words[3];
    std::memcpy(words, at, sizeof words);
    at += sizeof words;
    auto [index, length, position] = words;
    // a value that is part of the header, where the variables of most requests come from, is not kept twice
    ngx_str_t text{};
    if (position == kBehindHex) {
      text = expanded(r->pool, {at, length / 2u});
      at += length / 2;
    } else {
      text = copy(r->pool, {position == kBehind ? at : tail() + position, length});
      at += position == kBehind ? length : 0;
    }
    ngx_http_variable_value_t &value = r->variables[index];
    value.data = text.data;
    value.len = length;
    value.valid = 1;
    value.not_found = 0;
    value.no_cacheable = 0;
  }
  if (socklen_ > 0) {
    remember_peer(r);
    restore_address(r, at);
  }
}

/// Restores $realip_remote_addr and $realip_remote_port, whose values realip kept with the freed request.
void Parked::remember_peer(ngx_http_request_t *r) {
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
  auto *variables = static_cast<ngx_http_variable_t *>(core->variables.elts);
  for (ngx_uint_t i = 0; i < core->variables.nelts; ++i) {
    std::string_view name = view(variables[i].name);
    ngx_str_t text;
    if (name == "realip_remote_addr")
      text = connection_->addr_text;  // that of the connection, which outlives the request
    else if (name == "realip_remote_port")
      text = copy(r->pool, port_text(connection_->sockaddr));
    else
      continue;
    r->variables[i].data = text.data;
    r->variables[i].len = static_cast<unsigned>(text.len) & 0x0fffffff;
    r->variables[i].valid = 1;
    r->variables[i].not_found = 0;
    r->variables[i].no_cacheable = 0;
  }
}

void Parked::restore_address(ngx_http_request_t *r, const char *at) {
  ngx_connection_t *c = connection_;
  struct Peer {
    ngx_connection_t *connection;
    sockaddr *address;
    socklen_t length;
    ngx_str_t text;
  };
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Peer));
  if (cleanup == nullptr)
    throw std::bad_alloc();
  *static_cast<Peer *>(cleanup->data) = {c, c->sockaddr, c->socklen, c->addr_text};
  cleanup->handler = [](void *data) {
    auto *peer = static_cast<Peer *>(data);
    peer->connection->sockaddr = peer->address;
    peer->connection->socklen = peer->length;
    peer->connection->addr_text = peer->text;
  };
  auto *address = static_cast<sockaddr *>(ngx_palloc(r->pool, socklen_));
  if (address == nullptr)
    throw std::bad_alloc();
  std::memcpy(address, at, socklen_);
  c->addr_text = copy(r->pool, {at + socklen_, addr_text_size_});
  c->sockaddr = address;
  c->socklen = socklen_;
}

}  // namespace await::ngx
