#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/random.h"
#include "pg/connection.h"
#include "redis/bus.h"
#include "relay/leader.h"
#include "relay/sink.h"

namespace await::relay {

/// A sink as given on the command line: "kind", "kind=value", "kind=value,option=value,…". A part without "="
/// belongs to the value before it: "kafka=one:9092,two:9092,topic=events".
struct SinkSpec {
  std::string kind;
  std::string value;
  std::map<std::string, std::string> options;
  /// Under which its cursor is stored: the option "name", or the kind.
  std::string name() const;
};
/// Errors: invalid, with the reason.
Result<SinkSpec> parse_sink(std::string_view text);

/// What sinks may use. All of it outlives them.
struct SinkContext {
  io::Loop &loop;
  io::Log &log;
  io::Random &random;
  pg::Connection &reads;   ///< for what takes long
  pg::Connection &writes;  ///< of webhooks alone: the lease and the cursors never wait for what they write
  redis::Bus *bus;         ///< null: no --redis was given
  Leader &leader;
};

/// Errors: invalid: no such kind, an option that it does not have, or a value that it cannot use.
Result<std::unique_ptr<Sink>> make_sink(const SinkSpec &spec, const SinkContext &context);

}  // namespace await::relay
