#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/hint.h"
#include "core/told.h"

namespace await::wire {

/// Whether the hint was signed with `key`: HMAC-SHA256 (RFC 2104) over all of it but the signature.
bool is_signed(const core::Hint &hint, std::string_view key);

/// What a signed hint says. Nothing where it is of another line of history than `timeline`, or of a later
/// version.
std::optional<core::Told> read_told(const core::Hint &hint, std::string_view timeline);

}  // namespace await::wire
