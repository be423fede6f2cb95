#include "http/exchange/submission.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/file_type.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "ngx/str.h"
#include "wire/headers.h"
#include "wire/idempotency.h"

namespace await::http {
namespace {

/// Reads the Idempotency-Key.
Refusal read_key(ngx_http_request_t *r, core::NewJob &job) {
  const LocationConf &location = location_conf(r);
  if (location.idempotency == kKeysOff)
    return std::nullopt;
  if (!has_header(r, "idempotency-key")) {
    if (location.idempotency == kKeysRequired)
      return send_problem(r, 400, "An Idempotency-Key header is required.");
    return std::nullopt;
  }
  auto key = wire::parse_idempotency_key(header(r, "idempotency-key"));
  if (!key)
    return send_problem(
        r, 400,
        "The Idempotency-Key must be a quoted string of 1 to 255 printable ASCII characters, or a token.");
  job.idempotency =
      core::IdempotencyKey{std::move(*key), {}, static_cast<std::int64_t>(location.keep_keys) * 1000};
  return std::nullopt;
}

}  // namespace

Refusal read_head(ngx_http_request_t *r, core::NewJob &job) {
  std::string encoding = header(r, "content-encoding");
  if (!encoding.empty() && !iequals(trim(encoding), "identity")) {
    add_header(r, "Accept-Encoding", "identity");
    return send_problem(r, 415, "Unsupported Content-Encoding " + encoding + "; send the body unencoded.");
  }
  std::string type = header(r, "content-type");
  job.content_type = type.empty() ? "application/octet-stream" : type;
  if (!wire::is_media_type(job.content_type))
    return send_problem(r, 400, "The Content-Type is not in the form type/subtype.");
  std::string correlation = header(r, "x-correlation-id");
  bool clean = is_text(correlation) && correlation.size() <= 255;
  if (!clean)
    return send_problem(r, 400, "The X-Correlation-Id is not valid UTF-8, or is longer than 255 bytes.");
  job.correlation_id = correlation.empty() ? std::string(request_id_of(r)) : correlation;
  if (std::string trace = header(r, "traceparent"); wire::is_traceparent(trace))
    job.trace = trace;
  if (auto owner = owner_of(r))
    job.owner = *owner;
  return read_key(r, job);
}

OrAnswer<std::optional<std::string>> read_boundary(ngx_http_request_t *r, const SubmitOptions &options,
                                                   const std::string &content_type) {
  if (options.file.len == 0 || wire::essence(content_type) != "multipart/form-data") {
    if (!is_taken(options, content_type))
      return send_problem(r, 415, "Unsupported content type " + content_type + ".");
    return std::optional<std::string>();
  }
  auto boundary = wire::parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)
    return send_problem(r, 400, "The multipart Content-Type has no boundary of 1 to 70 bytes.");
  return boundary;
}

std::optional<Objection> check_type(ngx_http_request_t *r, const SubmitOptions &options,
                                    const std::string &content_type, bool unknown) {
  if (is_taken(options, content_type))
    return std::nullopt;
  std::string types;
  auto *items = static_cast<ngx_str_t *>(options.types->elts);
  for (ngx_uint_t i = 0; i < options.types->nelts; ++i)
    types += (types.empty() ? "" : ", ") + std::string(ngx::view(items[i]));
  add_header(r, "Accept-Post", types);
  if (unknown)
    return Objection{415,
                     "The file has no Content-Type, and its name has no extension that is known here; "
                     "send it with a Content-Type of " +
                         types + "."};
  return Objection{415, "Unsupported content type " + content_type + "; use " + types + "."};
}

std::optional<Objection> check_part(const wire::Multipart::Part &part) {
  if (!is_text(part.name))
    return Objection{400, "The name of a form field is not valid UTF-8, or contains a NUL character."};
  if (part.encoded)
    return Objection{
        400, "The form field \"" + part.name + "\" has a Content-Transfer-Encoding; send it unencoded."};
  return std::nullopt;
}

std::optional<Objection> read_file(ngx_http_request_t *r, const SubmitOptions &options,
                                   const wire::Multipart::Part &part, core::NewJob &job) {
  std::string_view name = part.file_name ? wire::base_name(*part.file_name) : std::string_view();
  // some clients, Python's requests among them, do not say what they send
  std::string_view type = part.type.empty() ? type_of_file(r, name) : std::string_view(part.type);
  job.content_type = type.empty() ? "application/octet-stream" : type;
  if (!wire::is_media_type(job.content_type))
    return Objection{400, "The Content-Type of the file is not in the form type/subtype."};
  if (auto objection = check_type(r, options, job.content_type, type.empty()))
    return objection;
  if (name.empty())
    return std::nullopt;
  bool clean = is_text(name) &&
               std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!clean || name.size() > 255)
    return Objection{
        400, "The file name is not valid UTF-8, contains a control character, or is longer than 255 bytes."};
  job.file_name = name;
  return std::nullopt;
}

Answer send_clash(ngx_http_request_t *r) {
  return send_problem(r, 422, "This Idempotency-Key was already used with a different request.");
}

Answer send_not_stored(ngx_http_request_t *r, const Error &error, bool has_key) {
  if (error.code != Code::conflict || !has_key)
    return send_error(r, error);
  add_header(r, "Retry-After", "1");
  return send_problem(r, 409, "A request with this Idempotency-Key is in progress; retry later.");
}

}  // namespace await::http
