#pragma once

#include <span>
#include <string_view>

namespace await::wire {

/// Selects one of `offers` (media types, the default first) by an Accept header (RFC 9110 §12.5.1): the one
/// with the highest quality, and of equal ones the first. A missing or empty header accepts all.
/// @return the index of the offer, -1 if none is acceptable
int choose(std::string_view accept, std::span<const std::string_view> offers);

}  // namespace await::wire
