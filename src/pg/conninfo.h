#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace await::pg {

/// Keywords of libpq with their values.
using Options = std::vector<std::pair<std::string, std::string>>;

/// Parses a conninfo string or URL, and checks what can be checked without connecting, including whether
/// files are readable by this process. Errors: `invalid`, with a message that contains no secret. Source:
/// PostgreSQL manual, 34.1.
Result<Options> parse_conninfo(const std::string &text);

/// The value of a keyword; empty if it is not among the options.
std::string_view value_of(const Options &options, std::string_view keyword);

/// Formats the options as key='value' pairs.
std::string to_conninfo(const Options &options);

}  // namespace await::pg
