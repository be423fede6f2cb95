#pragma once

#include <cstdint>

namespace await::core {

/// How a page relates to what the client already has.
enum class Continuity : std::uint8_t {
  resumed,  ///< the page continues it
  reread,   ///< the page was read from somewhere else: read again from where the position is now
  gap,      ///< events are missing that cannot be read any more: tell the client (`reset`)
};

}  // namespace await::core
