#pragma once

#include <cstdint>

#include "http/conf/conf.h"
#include "io/random.h"

namespace await::http {

/// When a client of an event stream or a WebSocket should reconnect, in milliseconds: a random time between
/// the bounds of await_retry.
std::int64_t retry_ms(const LocationConf &location, io::Random &random);
/// When a client should retry, in whole seconds, at least 1: the lower bound of await_retry, or a random time
/// between the bounds while nginx shuts down, so that not all clients return at the same moment.
std::int64_t retry_after_s(ngx_http_request_t *r);
/// Adds Retry-After with retry_after_s().
void add_retry_after(ngx_http_request_t *r);

}  // namespace await::http
