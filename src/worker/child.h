#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/loop.h"

namespace await::worker {

/// A running command with pipes to its stdin, stdout, stderr and descriptor 3, in its own process group.
/// Destroying the object kills the group.
class Child {
 public:
  enum Stream { kOut, kErr, kNotes };
  class Observer {
   public:
    /// The command has written bytes to one of its streams.
    virtual void said(Stream stream, std::string_view bytes) = 0;
    /// All streams are closed and the command has exited. The last call; may destroy the child.
    virtual void ended(int wait_status) = 0;
    /// Everything passed to write() has been written to stdin.
    virtual void thirsty() = 0;

   protected:
    ~Observer() = default;
  };

  /// Starts a command.
  /// @param environment  variables that replace those of this process with the same names
  /// @param withheld  names of variables that are not passed to the command, because they contain passwords
  ///   Errors: unavailable.
  static Result<std::unique_ptr<Child>> start(
      io::Loop &loop, const std::vector<std::string> &command,
      const std::vector<std::pair<std::string, std::string>> &environment,
      const std::vector<std::string> &withheld, Observer &observer);
  ~Child();

  /// Queues bytes for stdin. If the command does not read them, they are discarded.
  void write(const std::string &bytes);
  void close_stdin_when_written();
  /// Pauses or resumes reading stdout, for backpressure.
  void pause_out(bool paused);
  void signal(int number);
  pid_t pid() const { return pid_; }
  /// To be called with the wait status when the process has been reaped.
  void reaped(int wait_status);

 private:
  struct Pipe {
    int fd = -1;
    std::unique_ptr<io::FdWatcher> watch;
    void close();
  };
  Child(io::Loop &loop, Observer &observer) : loop_(loop), observer_(observer) {}
  void on_stdin();
  void on_stream(Stream stream);
  void maybe_end();

  io::Loop &loop_;
  Observer &observer_;
  pid_t pid_ = -1;
  int wait_status_ = -1;
  bool reaped_ = false;
  Pipe stdin_;
  Pipe streams_[3];
  std::string to_write_;
  bool close_stdin_ = false;
};

}  // namespace await::worker
