#pragma once

#include "core/relay_event.h"

namespace await::relay {

using core::RelayEvent;

}  // namespace await::relay
