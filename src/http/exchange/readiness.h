#pragma once

#include <string>
#include <vector>

#include "http/runtime/backends.h"

namespace await::http {

/// A list of `{"part":…,"state":…}`. Without the reasons of error.log, which name hosts: not everybody may
/// know them.
std::string encode_problems(const std::vector<Backends::Readiness::Problem> &problems);

}  // namespace await::http
