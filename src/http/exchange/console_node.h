#pragma once

#include <string>

#include "http/runtime/runtime.h"

namespace await::http {

/// What this node knows of itself, for the console: its clients, connections, counters and latencies, of all
/// nginx workers. JSON.
/// @param may_write  whether the console of this location has actions
std::string console_node(Runtime &runtime, bool may_write);

}  // namespace await::http
