#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace await::core {

/// One cursor for several channels: their cursors, separated by dots. If it would be longer than kMostCursor,
/// the longest parts are left empty, and these channels resume with a reset.
/// @param parts  at least one; may be empty strings
std::string join_cursors(std::vector<std::string> parts);

/// The part of a cursor that is for one channel. A cursor without dots is returned as it is. Without a part
/// for the channel, returns an invalid cursor, so that the client gets a reset.
std::string cursor_for(const Uuid &id, std::string cursor);

}  // namespace await::core
