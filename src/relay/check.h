#pragma once

#include "io/poll_loop.h"
#include "relay/relay.h"

namespace await::relay {

/// `await-relay --check`: prints, for PostgreSQL and each sink, whether it can be used, or what is missing
/// and the remedy. Takes no lead and delivers nothing. Returns whether nothing is missing.
bool check(io::PollLoop &loop, Relay &relay);

}  // namespace await::relay
