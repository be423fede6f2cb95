#pragma once

#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

/// The media type that nginx's `types` of this location have for a file of this name; empty: none.
std::string_view type_of_file(ngx_http_request_t *r, std::string_view name);

}  // namespace await::http
