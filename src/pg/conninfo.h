#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace await::pg {

/// libpq's keywords and what was given for them.
using Options = std::vector<std::pair<std::string, std::string>>;

/// A conninfo or URL, checked as far as that goes without connecting: what libpq would refuse for ever is
/// refused here. The error holds no secret. Files are those that this process can read.
/// Source: PostgreSQL manual, 34.1.
Result<Options> parse_conninfo(const std::string &text);

/// As key='value' pairs: a URL cannot be added to.
std::string to_conninfo(const Options &options);

}  // namespace await::pg
