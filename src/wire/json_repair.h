#pragma once

#include <string>
#include <string_view>

namespace await::wire {

/// `json` such that PostgreSQL takes its strings: NUL, bytes that are not UTF-8 and unpaired surrogates
/// become U+FFFD, control characters are escaped. What is no JSON stays none.
std::string repair_json(std::string_view json);

}  // namespace await::wire
