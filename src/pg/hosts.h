#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/conninfo.h"

namespace await::pg {

/// One address of a server, in libpq's words. Empty: libpq's default.
struct Host {
  std::string host;
  std::string hostaddr;
  std::string port;
  bool operator==(const Host &) const = default;
  /// For messages, in libpq's form.
  std::string text() const;
};

/// The servers that a conninfo names, one by one, and the options that are the same for all of them.
///
/// libpq tries the hosts in the given order and has no time limit for one of them, except in its blocking
/// calls; so a host that stands still would hide those behind it.
struct Hosts {
  std::vector<Host> list;           ///< at least one
  Options options;                  ///< without host, hostaddr and port
  std::string startup;              ///< the value of "options", also from the environment or a service file
  std::int64_t connect_timeout_ms;  ///< 0: not given
};

/// Reads a conninfo together with the environment and the service file. A host name without `hostaddr` is
/// resolved, which may block, and stands for all of its addresses. Errors: `invalid`, `unavailable` if no
/// name can be resolved. Source: PostgreSQL manual, 34.1.1 and 34.1.2.
Result<Hosts> read_hosts(const std::string &conninfo);

/// Replaces host names by all of their addresses: `hostaddr` is added, and `host` and `port` are repeated as
/// needed. May block.
/// @param unknown  the first name that has no address
/// @return  whether all names have addresses
bool resolve_hosts(Options &options, std::string &unknown);

}  // namespace await::pg
