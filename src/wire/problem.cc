#include "wire/problem.h"

#include <jansson.h>

#include <cstdlib>
#include <memory>

#include "wire/json_writer.h"

namespace await::wire {
namespace {

constexpr ProblemType kTypes[] = {
    {400, "bad-request", "Bad request", "something in the request is malformed; detail says what"},
    {401, "unauthorized", "Authentication required", "no valid token or ticket; see WWW-Authenticate"},
    {403, "forbidden", "Forbidden",
     "the client may not do this: it has no owner, its page is of a foreign origin, its ticket is for "
     "something else, or its session was revoked"},
    {404, "not-found", "Not found",
     "no such job, batch or channel, or another owner's; with pending=404, no result yet"},
    {405, "method-not-allowed", "Method not allowed", "Allow lists the methods"},
    {406, "not-acceptable", "Not acceptable", "no type of Accept can be given"},
    {408, "request-timeout", "Request timeout", "the request came too slowly; nginx's own, by await_problem"},
    {409, "conflict", "Conflict",
     "the job or batch has ended already; the key's first request is in progress; a queue is being created: "
     "try again after Retry-After; with pending=409, no result yet"},
    {410, "gone", "Gone", "past its retention; or no result, because the job was cancelled or has expired"},
    {411, "length-required", "Length required",
     "the length of the body is not known; nginx's own, by await_problem"},
    {412, "precondition-failed", "Precondition failed",
     "a condition of the request, such as If-Match, does not hold"},
    {413, "too-large", "Request body too large", "past client_max_body_size or a limit of the endpoint"},
    {414, "uri-too-long", "URI too long", "the request line is too long; nginx's own, by await_problem"},
    {415, "unsupported-type", "Unsupported media type",
     "the type or the coding of the body is not taken here; see Accept-Post or Accept-Encoding of the "
     "answer"},
    {416, "range-not-satisfiable", "Range not satisfiable", "Content-Range has the result's size"},
    {422, "unprocessable", "Unprocessable content", "the Idempotency-Key was used for another request"},
    {424, "job-failed", "The job failed",
     "the result of a failed job, whatever status failed= gives it; also error in job documents"},
    {426, "upgrade-required", "Upgrade required", "the resource is a WebSocket, version 13"},
    {429, "too-many-requests", "Too many requests",
     "as many jobs of the client wait as max_pending_per_owner= permits, with RateLimit and Retry-After; or "
     "nginx's own (limit_req, limit_conn), by await_problem, with Retry-After"},
    {500, "internal", "Internal error", "error.log says why"},
    {502, "bad-gateway", "Bad gateway", "an upstream gave no valid answer; nginx's own, by await_problem"},
    {503, "unavailable", "Temporarily unavailable",
     "PostgreSQL is unavailable, a limit reached, the queue full (max_pending=), or a restart; with "
     "Retry-After. A submission whose "
     "connection to PostgreSQL broke may be stored all the same: repeat it with the same Idempotency-Key"},
    {504, "gateway-timeout", "Gateway timeout",
     "an upstream did not answer in time; nginx's own, by await_problem"},
};

struct Release {
  void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, Release>;

}  // namespace

std::span<const ProblemType> problem_types() { return kTypes; }

Problem problem_of_status(int status) {
  for (const ProblemType &type : kTypes) {
    if (type.status == status)
      return {status, type.name, type.title, "", ""};
  }
  return {status, "status-" + std::to_string(status), status >= 500 ? "Server error" : "Request refused", "",
          ""};
}

std::string encode(const Problem &problem, std::string_view base, std::string_view instance) {
  JsonWriter out;
  out.text("type", std::string(base) + problem.name);
  out.text("title", problem.title);
  out.number("status", problem.status);
  if (!problem.detail.empty())
    out.text("detail", problem.detail);
  out.text("instance", instance);
  if (!problem.request_id.empty())
    out.text("request_id", problem.request_id);
  return out.take();
}

std::string encode_failure(const std::optional<std::string> &error, const Problem &problem,
                           std::string_view base, std::string_view instance) {
  Json members(error ? json_loadb(error->data(), error->size(), 0, nullptr) : nullptr);
  if (!members || !json_is_object(members.get()))
    return encode(problem, base, instance);
  auto set = [&](const char *name, std::string_view value) {
    json_object_set_new(members.get(), name, json_stringn(value.data(), value.size()));
  };
  auto give = [&](const char *name, const std::string &value) {
    if (!json_is_string(json_object_get(members.get(), name)))
      set(name, value);
  };
  give("type", std::string(base) + problem.name);
  give("title", problem.title);
  json_object_set_new(members.get(), "status", json_integer(problem.status));
  set("instance", instance);
  if (!problem.request_id.empty())
    set("request_id", problem.request_id);
  char *text = json_dumps(members.get(), JSON_COMPACT);
  if (text == nullptr)
    return encode(problem, base, instance);
  std::string out(text);
  std::free(text);
  return out;
}

}  // namespace await::wire
