#pragma once

#include <optional>
#include <string>

#include "http/conf/webhook_options.h"
#include "http/exchange/respond.h"

namespace await::http {

/// The webhook of what a request submits, as the database has it (wire::webhook_json); nothing if there is
/// none. An answer if the URL is none, or its host is not allowed here.
OrAnswer<std::optional<std::string>> read_webhook(ngx_http_request_t *r, const WebhookOptions &options);

}  // namespace await::http
