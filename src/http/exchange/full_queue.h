#pragma once

#include <optional>

#include "core/ports.h"
#include "http/exchange/respond.h"

namespace await::http {

/// Answers a submission that has met a limit of waiting jobs: 429 if it is the client's own, 503 if it is
/// everybody's.
/// @param retry_ms  in which there may be room
/// @param quota  the limit if it is the client's own
Answer send_full(ngx_http_request_t *r, core::Full full, std::int64_t retry_ms, std::optional<int> quota);

}  // namespace await::http
