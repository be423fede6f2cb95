#include "ngx/tls.h"

// In nginx only if it was built with TLS; null otherwise.
extern "C" void ngx_ssl_free_buffer(ngx_connection_t *c) __attribute__((weak));

namespace await::ngx {

void release_tls_buffer(ngx_connection_t *c) {
  if (c->ssl != nullptr && ngx_ssl_free_buffer != nullptr && c->buffered == 0)
    ngx_ssl_free_buffer(c);
}

void release_tls_buffer(ngx_http_request_t *r) {
  ngx_connection_t *c = r->connection;
#if (NGX_HTTP_V2)
  if (r->stream != nullptr)
    c = r->stream->connection->connection;  // only that one knows what is buffered
#endif
  release_tls_buffer(c);
}

}  // namespace await::ngx
