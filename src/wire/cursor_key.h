#pragma once

#include <string_view>

#include "base/siphash.h"

namespace await::wire {

/// What cursors are signed with, where the database's secret is this: HMAC-SHA-256 of a purpose of its own,
/// for hints and tickets are signed with the secret itself.
SipKey cursor_key(std::string_view secret);

}  // namespace await::wire
