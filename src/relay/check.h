#pragma once

#include "io/poll_loop.h"
#include "pg/replication.h"
#include "relay/relay.h"

namespace await::relay {

/// `await-relay --check`: prints, for PostgreSQL and each sink, whether it can be used, or what is missing
/// and the remedy. Takes no lead and delivers nothing. Returns whether nothing is missing.
bool check(io::PollLoop &loop, Relay &relay);

/// The same for the source "wal": connects as it would.
bool check_log(io::PollLoop &loop, io::Log &log, io::Random &random, Relay &relay,
               const std::string &conninfo);

}  // namespace await::relay
