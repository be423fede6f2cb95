#pragma once

#include <string>

#include "http/runtime/runtime.h"

namespace await::http {

/// What this node knows of itself, for the console: its clients, connections, counters and latencies, of all
/// nginx workers. JSON. Made once for all consoles that are told at a time, so it is for a
/// ConsoleFeed::Listener, in its call.
/// @param may_write  whether the console of this location has actions
const std::string &console_node(Runtime &runtime, bool may_write);

}  // namespace await::http
