#pragma once

namespace await::worker {

/// What a new command needs. All of it is prepared before fork().
struct Launch {
  char *const *argv;
  /// Ends with AWAIT_PARAMS, which is left out if the environment is too large for the system.
  char **environment;
  int fds[5];   ///< become the descriptors 0 … 4 of the command
  int control;  ///< of the supervisor: a socket of packets
};

/// What the worker sends to a supervisor, as packets of one byte.
enum class Order : char { terminate = 'T', kill = 'K' };

/// Starts a command and keeps its processes together. Runs in a process of its own between the worker and the
/// command, and does not return: whatever the command starts stays below this process, also in another
/// session or after its parent has exited (prctl(2), PR_SET_CHILD_SUBREAPER).
///
/// Sends the wait status of the command to `control` as an int when it has exited. Exits when no process is
/// left. Kills all of them on Order::kill, and when the worker closes its end of `control` or is killed.
[[noreturn]] void supervise(const Launch &launch);

}  // namespace await::worker
