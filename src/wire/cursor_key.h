#pragma once

#include <string_view>

#include "base/siphash.h"

namespace await::wire {

/// The key that signs cursors, derived from the secret of the database: HMAC-SHA-256 of a constant. The
/// secret itself signs hints and tickets.
SipKey cursor_key(std::string_view secret);

}  // namespace await::wire
