#pragma once

#include <optional>

namespace CLI {
class App;
}

namespace await::cli {

constexpr int kUsage = 64;  ///< the exit status where an argument is wrong (EX_USAGE of sysexits.h)

/// Reads the arguments into the variables that `app` was given, and hides those that contain a password.
/// @return the exit status, if nothing is to be done: after --help and --version, or because an argument is
/// wrong, which is said
std::optional<int> parse_arguments(CLI::App &app, int argc, char **argv);

}  // namespace await::cli
