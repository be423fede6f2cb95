#pragma once

#include <span>
#include <string_view>

namespace await::wire {

/// Chooses among `offers` (media types, the default first) by an Accept field (RFC 9110 §12.5.1): the
/// highest quality wins, then the earlier offer. No field or an empty one accepts all.
/// @return the index of the offer, -1 where none is acceptable
int choose(std::string_view accept, std::span<const std::string_view> offers);

}  // namespace await::wire
