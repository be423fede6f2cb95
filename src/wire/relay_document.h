#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/relay_event.h"

namespace await::wire {

/// An event as a JSON object on one line: the members of docs/http.md, and what else is known of its job
/// (docs/relay.md).
/// @param thin  without "data" and the value of the result
std::string encode_relay_event(const core::RelayEvent &event, bool thin = false);

/// RelayEvent::result.
std::string encode_relay_result(int status, std::string_view type, std::int64_t size,
                                const std::optional<std::string> &name);

}  // namespace await::wire
