#include "http/exchange/retry.h"

#include <algorithm>
#include <string>

#include "http/exchange/respond.h"
#include "http/runtime/runtime.h"

namespace await::http {

std::int64_t retry_ms(const LocationConf &location, io::Random &random) {
  auto spread = static_cast<double>(location.retry_max - location.retry_min);
  return static_cast<std::int64_t>(location.retry_min) + static_cast<std::int64_t>(spread * random.unit());
}

std::int64_t retry_after_s(ngx_http_request_t *r) {
  Runtime *worker = runtime();  // errors are answered without one, too
  const LocationConf &location = location_conf(r);
  std::int64_t ms = worker != nullptr && worker->lifecycle().draining()
                        ? retry_ms(location, worker->random())
                        : static_cast<std::int64_t>(location.retry_min);
  return std::max<std::int64_t>(1, (ms + 999) / 1000);
}

void add_retry_after(ngx_http_request_t *r) {
  add_header(r, "Retry-After", std::to_string(retry_after_s(r)));
}

}  // namespace await::http
