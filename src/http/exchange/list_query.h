#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/job_list.h"
#include "http/exchange/respond.h"
#include "ngx/nginx.h"

namespace await::http {

/// What a location says of its list.
struct ListScope {
  std::optional<std::string_view> owner;  ///< empty: everybody's jobs
  bool of_batches = false;                ///< batches, which are in no queue and in no batch
  std::optional<std::string_view> queue;  ///< empty: the client may name one
};

/// The argument, of these, that is given twice, where only one value can count; empty: none.
std::string_view repeated_argument(ngx_http_request_t *r, std::span<const std::string_view> names);

/// The page of the list that a request asks for. An answer if one of the arguments is wrong (400).
/// @param keys  of the cursors
OrAnswer<core::ListQuery> asked_page(ngx_http_request_t *r, const ListScope &scope,
                                     const core::CursorKeys &keys);

}  // namespace await::http
