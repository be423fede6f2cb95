#include "http/exchange/list_query.h"

#include <algorithm>
#include <string>

#include "base/text.h"
#include "core/list_cursor.h"
#include "http/conf/submit_options.h"
#include "http/exchange/request.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr int kMostJobs = 200;  // of a page
constexpr std::string_view kArguments[] = {"state",          "queue", "batch", "created_after",
                                           "created_before", "limit", "cursor"};
constexpr core::State kStates[] = {core::State::pending, core::State::processing, core::State::completed,
                                   core::State::failed,  core::State::cancelled,  core::State::expired};

/// The states of a list with commas, each once and in the order of State. Empty if one is unknown.
std::optional<std::string> parse_states(std::string_view text) {
  unsigned asked = 0;
  for (bool more = true; more;) {
    more = text.find(',') != text.npos;
    auto state = core::parse_state(cut(text, ','));
    if (!state)
      return std::nullopt;
    asked |= 1U << static_cast<unsigned>(*state);
  }
  std::string out;
  for (core::State state : kStates) {
    if (asked & 1U << static_cast<unsigned>(state))
      out += (out.empty() ? "" : ",") + std::string(core::state_name(state));
  }
  return out;
}

/// An argument that is a time. An answer if it is none.
Refusal read_time(ngx_http_request_t *r, std::string_view name, const std::optional<std::string> &text,
                  std::optional<std::int64_t> &out) {
  if (!text)
    return std::nullopt;
  out = parse_utc(*text);
  if (out)
    return std::nullopt;
  return send_problem(r, 400,
                      "The argument \"" + std::string(name) +
                          "\" must be a time in UTC, in the format 2026-11-21T20:02:02.090Z.");
}

Refusal read_queue(ngx_http_request_t *r, const ListScope &scope, core::ListQuery &query) {
  query.queue = argument(r, "queue");
  if (query.queue && !is_queue_name(*query.queue))
    return send_problem(r, 400, "Invalid queue name; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  if (query.queue && scope.queue && *query.queue != *scope.queue)
    return send_problem(r, 400,
                        "The argument \"queue\" names another queue than that of this list; leave it out.");
  if (scope.queue)
    query.queue = *scope.queue;
  return std::nullopt;
}

Refusal read_filters(ngx_http_request_t *r, core::ListQuery &query) {
  if (auto text = argument(r, "state")) {
    query.states = parse_states(*text);
    if (!query.states)
      return send_problem(
          r, 400,
          "The argument \"state\" must be one or several of pending, processing, completed, failed, "
          "cancelled and expired, separated by commas.");
  }
  if (auto text = argument(r, "batch"); text && !query.of_batches) {
    query.batch = Uuid::parse(*text);
    if (!query.batch)
      return send_problem(r, 400, "The argument \"batch\" must be the id of a batch.");
  }
  if (auto refusal = read_time(r, "created_after", argument(r, "created_after"), query.since_us))
    return refusal;
  return read_time(r, "created_before", argument(r, "created_before"), query.until_us);
}

}  // namespace

std::string_view repeated_argument(ngx_http_request_t *r, std::span<const std::string_view> names) {
  for (std::string_view name : names) {
    int count = 0;
    for (std::string_view rest = ngx::view(r->args); !rest.empty();) {
      std::string_view one = cut(rest, '&');
      count +=
          one.size() > name.size() && one[name.size()] == '=' && iequals(one.substr(0, name.size()), name);
    }
    if (count > 1)
      return name;
  }
  return {};
}

OrAnswer<core::ListQuery> asked_page(ngx_http_request_t *r, const ListScope &scope,
                                     const core::CursorKeys &keys) {
  if (std::string_view name = repeated_argument(r, kArguments); !name.empty())
    return send_problem(r, 400, "The argument \"" + std::string(name) + "\" is given twice.");
  core::ListQuery query;
  if (scope.owner)
    query.owner = *scope.owner;
  query.of_batches = scope.of_batches;
  if (auto refusal = scope.of_batches ? Refusal() : read_queue(r, scope, query))
    return *refusal;
  if (auto refusal = read_filters(r, query))
    return *refusal;
  if (auto text = argument(r, "limit")) {
    query.limit = static_cast<int>(parse_number(*text, kMostJobs).value_or(0));
    if (query.limit == 0)
      return send_problem(r, 400, "The argument \"limit\" must be a number between 1 and 200.");
  }
  std::string cursor = argument(r, "cursor").value_or("");
  if (cursor.empty())
    return query;
  if (keys.empty())
    return send_unavailable(r, "The server is starting; retry later.");
  query.after = core::decode_list_cursor(keys, query, cursor);
  if (!query.after)
    return send_problem(r, 400,
                        "The cursor is not of this list: use it with the filters of the page that it came "
                        "with, or begin at the first page.");
  return query;
}

}  // namespace await::http
