#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace await::core {

/// One cursor for several channels: theirs in a row, parted by dots. Where that would be longer than 512
/// bytes the longest say nothing, and whoever comes back is told so. An empty part says nothing either.
std::string join_cursors(std::vector<std::string> parts);

/// What a cursor says of one channel: itself, or of several the part that is of it; where none is, a word
/// that says nothing, so that whoever comes with it is told.
std::string cursor_for(const Uuid &id, std::string cursor);

}  // namespace await::core
