#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace await::worker {

/// An address as it was given, or, for `@FILE`, the first line of that file.
Result<std::string> read_address(const std::string &given);

/// Overwrites in argv what holds a password, before `--`: ps shows it to everybody. A moment remains in which
/// it was there; the environment and a file have none.
void hide_arguments(int argc, char **argv);

/// `message` without the arguments that could hold a password.
std::string without_arguments(std::string message, int argc, char **argv);

/// Which variables of our environment a job's command does not get: the addresses, libpq's own (PG…), and
/// whatever holds one of `passwords`; without those that `passed` names.
std::vector<std::string> withheld_variables(const std::vector<std::string> &passwords,
                                            const std::vector<std::string> &passed);

/// Nobody but root reads our memory and our environment from /proc, nor attaches to us: not even a job's
/// command, which runs as the same user. There are no core dumps either.
void close_proc();

}  // namespace await::worker
