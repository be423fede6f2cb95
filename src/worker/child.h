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

/// A command with pipes to its stdin, stdout, stderr and descriptor 3, in a process group of its own.
/// Destroying it kills the group.
class Child {
 public:
  enum Stream { kOut, kErr, kNotes };
  class Observer {
   public:
    /// Bytes from one of its streams.
    virtual void said(Stream stream, std::string_view bytes) = 0;
    /// All streams are closed and the command has ended. Last call; may destroy the child.
    virtual void ended(int wait_status) = 0;
    /// stdin has taken everything written so far.
    virtual void thirsty() = 0;

   protected:
    ~Observer() = default;
  };

  /// @param environment  put in the place of ours of these names
  /// @param withheld     names of ours that the command does not get: our passwords are not its business
  static Result<std::unique_ptr<Child>> start(
      io::Loop &loop, const std::vector<std::string> &command,
      const std::vector<std::pair<std::string, std::string>> &environment,
      const std::vector<std::string> &withheld, Observer &observer);
  ~Child();

  /// Queues bytes for stdin; a command that does not read them loses them.
  void write(const std::string &bytes);
  void close_stdin_when_written();
  /// Stops and starts reading stdout: backpressure.
  void pause_out(bool paused);
  void signal(int number);
  pid_t pid() const { return pid_; }
  /// The command's wait status, from whoever reaps the process's children.
  void reaped(int wait_status);

 private:
  struct Pipe {
    int fd = -1;
    std::unique_ptr<io::Watch> watch;
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
