#pragma once

#include <optional>
#include <string>

#include "core/job.h"
#include "http/conf/submit_options.h"
#include "http/exchange/receiver.h"
#include "http/exchange/respond.h"
#include "wire/multipart.h"

namespace await::http {

inline constexpr char kTooManyFields[] = "The form fields exceed 64 KB, or there are more than 1000 of them.";

/// Sets what the header of a submission contains: content type, correlation id, trace, owner, and the
/// idempotency key without its fingerprint. An answer if something in it is refused.
Refusal read_head(ngx_http_request_t *r, core::NewJob &job);
/// The boundary if the body is a form. An answer if it is a form without one, or of a type that is not taken
/// here.
OrAnswer<std::optional<std::string>> read_boundary(ngx_http_request_t *r, const SubmitOptions &options,
                                                   const std::string &content_type);

/// 415 if a payload of this type is not taken here.
/// @param unknown  whether the client has not said it, and the file name does not tell it
std::optional<Objection> check_type(ngx_http_request_t *r, const SubmitOptions &options,
                                    const std::string &content_type, bool unknown);
/// Why a part of a form is refused, whatever it is for.
std::optional<Objection> check_part(const wire::Multipart::Part &part);
/// Sets what the headers of a form's file contain: its type, which the file name tells if the client does
/// not, and the file name.
std::optional<Objection> read_file(ngx_http_request_t *r, const SubmitOptions &options,
                                   const wire::Multipart::Part &part, core::NewJob &job);

/// 422: the first request with this Idempotency-Key was another one.
Answer send_clash(ngx_http_request_t *r);
/// What was not stored, and why.
/// @param has_key  whether the request has an Idempotency-Key
Answer send_not_stored(ngx_http_request_t *r, const Error &error, bool has_key);

}  // namespace await::http
