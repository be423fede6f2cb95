#include "http/exchange/full_queue.h"

#include <algorithm>
#include <string>

#include "http/exchange/retry.h"

namespace await::http {

Answer send_full(ngx_http_request_t *r, core::Full full, std::int64_t retry_ms, std::optional<int> quota) {
  std::string seconds = std::to_string(std::max<std::int64_t>(1, (retry_ms + 999) / 1000));
  add_header(r, "Retry-After", seconds);
  if (full == core::Full::queue)
    return send_problem(r, 503, "The queue is full. Nothing was stored; retry later.");
  std::string most = std::to_string(quota.value_or(0));
  // draft-ietf-httpapi-ratelimit-headers-10
  add_header(r, "RateLimit-Policy", "\"pending\";q=" + most);
  add_header(r, "RateLimit", "\"pending\";r=0;t=" + seconds);
  return send_problem(r, 429,
                      "No more than " + most + " of your jobs may wait. Nothing was stored; retry later.");
}

}  // namespace await::http
