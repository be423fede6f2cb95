#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace await::cli {

/// Returns `given`, or for `@FILE` the first line of that file. Errors: invalid.
Result<std::string> read_address(const std::string &given);

/// Overwrites arguments before `--` that contain a password, because ps shows them to all users. They are
/// visible for a moment; passwords in the environment or in a file are not.
void hide_arguments(int argc, char **argv);

/// `message` without arguments that could contain a password.
std::string without_arguments(std::string message, int argc, char **argv);

/// The variables of the environment that are not passed to the command of a job: the addresses, those of
/// libpq (PG…), and all that contain one of `passwords`; except those in `passed`.
std::vector<std::string> withheld_variables(const std::vector<std::string> &passwords,
                                            const std::vector<std::string> &passed);

/// Prevents all users but root from reading the memory and environment of this process in /proc and from
/// attaching to it, including the command of a job, which runs as the same user. Also disables core dumps.
void close_proc();

}  // namespace await::cli
