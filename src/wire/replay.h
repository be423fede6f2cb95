#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace await::wire {

/// A request as await_proxy records it in the params of a job, and `await-worker --http` plays it to a back
/// end: {"origin": …, "method": …, "uri": …, "headers": {…}}. The body is the payload of the job.
struct Replay {
  std::string origin;  ///< of the back end, as BackendUrl has it; empty: that of the worker
  std::string method = "POST";
  std::string uri;  ///< path and query; empty: that of the worker's URL
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The params as JSON.
std::string encode(const Replay &replay);
/// The request that these params describe. Members that are absent have the defaults, others are ignored.
/// The error says what is wrong, in words for the client.
Result<Replay> parse_replay(const std::optional<std::string> &params);

/// Whether a job may have this method: GET, POST, PUT, PATCH and DELETE.
bool is_replayed_method(std::string_view method);
/// Whether a header may be recorded. Not: what belongs to a connection or frames the body, what the worker
/// sets itself, and what asks for an answer that is no result, such as a range.
bool is_replayed_header(std::string_view name);

/// A request target as it may be sent: all characters that must be encoded are. Empty if it does not begin
/// with a slash, or if its path has the segments "." or "..", also in an encoded form, which could lead out
/// of the path that it is meant for.
std::optional<std::string> clean_target(std::string_view target);

/// Where a back end is.
struct BackendUrl {
  std::string origin;  ///< scheme, host in lower case, and the port unless it is the default
  std::string path;    ///< what follows; without a slash at the end
};
/// Parses `http://host[:port][/path]`, or https. Empty if it is anything else: with user information, for
/// instance.
std::optional<BackendUrl> parse_backend(std::string_view url);

}  // namespace await::wire
