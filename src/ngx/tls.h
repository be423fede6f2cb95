#pragma once

#include "ngx/nginx.h"

namespace await::ngx {

/// Frees the buffer in which TLS records are collected (ssl_buffer_size), unless it contains data. nginx
/// would keep it as long as the connection has a request; it allocates a new one at the next write.
void release_tls_buffer(ngx_connection_t *c);
/// The same for the connection of `r`; over HTTP/2, the connection that its streams share.
void release_tls_buffer(ngx_http_request_t *r);

}  // namespace await::ngx
