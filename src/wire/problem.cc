#include "wire/problem.h"

#include <jansson.h>

#include <cstdlib>
#include <memory>

#include "wire/json_writer.h"

namespace await::wire {
namespace {

struct Known {
  int status;
  const char *name;
  const char *title;
};

constexpr Known kKnown[] = {
    {400, "bad-request", "Bad request"},
    {401, "unauthorized", "Authentication required"},
    {403, "forbidden", "Forbidden"},
    {404, "not-found", "Not found"},
    {405, "method-not-allowed", "Method not allowed"},
    {406, "not-acceptable", "Not acceptable"},
    {408, "request-timeout", "Request timeout"},
    {409, "conflict", "Conflict"},
    {410, "gone", "Gone"},
    {411, "length-required", "Length required"},
    {412, "precondition-failed", "Precondition failed"},
    {413, "too-large", "Request body too large"},
    {414, "uri-too-long", "URI too long"},
    {415, "unsupported-type", "Unsupported media type"},
    {416, "range-not-satisfiable", "Range not satisfiable"},
    {422, "unprocessable", "Unprocessable content"},
    {424, "job-failed", "The job failed"},
    {426, "upgrade-required", "Upgrade required"},
    {429, "too-many-requests", "Too many requests"},
    {500, "internal", "Internal error"},
    {502, "bad-gateway", "Bad gateway"},
    {503, "unavailable", "Temporarily unavailable"},
    {504, "gateway-timeout", "Gateway timeout"},
};

struct Release {
  void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, Release>;

}  // namespace

Problem problem_of_status(int status) {
  for (const Known &known : kKnown) {
    if (known.status == status)
      return {status, known.name, known.title, ""};
  }
  return {status, "status-" + std::to_string(status), status >= 500 ? "Server error" : "Request refused", ""};
}

std::string encode(const Problem &problem, std::string_view base, std::string_view instance) {
  JsonWriter out;
  out.text("type", std::string(base) + problem.name);
  out.text("title", problem.title);
  out.number("status", problem.status);
  if (!problem.detail.empty())
    out.text("detail", problem.detail);
  out.text("instance", instance);
  return out.take();
}

std::string encode_failure(const std::optional<std::string> &error, int status, std::string_view base,
                           std::string_view instance) {
  Problem plain = problem_of_status(424);
  plain.status = status;
  Json members(error ? json_loadb(error->data(), error->size(), 0, nullptr) : nullptr);
  if (!members || !json_is_object(members.get()))
    return encode(plain, base, instance);
  auto give = [&](const char *name, const std::string &value) {
    if (!json_is_string(json_object_get(members.get(), name)))
      json_object_set_new(members.get(), name, json_stringn(value.data(), value.size()));
  };
  give("type", std::string(base) + plain.name);
  give("title", plain.title);
  json_object_set_new(members.get(), "status", json_integer(status));
  json_object_set_new(members.get(), "instance", json_stringn(instance.data(), instance.size()));
  char *text = json_dumps(members.get(), JSON_COMPACT);
  if (text == nullptr)
    return encode(plain, base, instance);
  std::string out(text);
  std::free(text);
  return out;
}

}  // namespace await::wire
