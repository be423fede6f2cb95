#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/loop.h"

namespace await::worker {

/// How to start a command.
struct Command {
  const std::vector<std::string> &words;
  std::vector<std::pair<std::string, std::string>> environment;  ///< replaces variables of this process
  const std::vector<std::string> &withheld;  ///< variables of this process that are not passed on
  std::string params;                        ///< JSON: AWAIT_PARAMS_FILE, and AWAIT_PARAMS if it is short
  std::int64_t grace_ms;                     ///< how long processes that it leaves behind may go on
};

/// A running command with pipes to its stdin, stdout, stderr and descriptor 3. A supervisor keeps all
/// processes that it starts together. Destroying the object kills all of them.
///
/// When the command has exited, what its processes still write is read for as long as they write, at most for
/// the grace. Then they are killed.
class Child {
 public:
  enum Stream { kOut, kErr, kNotes };
  class Observer {
   public:
    /// The command has written bytes to one of its streams.
    virtual void said(Stream stream, std::string_view bytes) = 0;
    /// The command has exited, none of its processes is left, and all they wrote was passed to said(). The
    /// last call; may destroy the child.
    virtual void ended(int wait_status) = 0;
    /// Everything passed to write() has been written to stdin.
    virtual void thirsty() = 0;

   protected:
    ~Observer() = default;
  };

  /// Starts a command. Errors: unavailable.
  static Result<std::unique_ptr<Child>> start(io::Loop &loop, const Command &command, Observer &observer);
  ~Child();

  /// Queues bytes for stdin. If the command does not read them, they are discarded.
  void write(const std::string &bytes);
  void close_stdin_when_written();
  /// Stops or resumes reading a stream, for backpressure.
  void pause(Stream stream, bool paused);
  /// Sends SIGTERM to all its processes.
  void terminate();
  /// Whether processes that it has left behind were killed, perhaps before they had written everything.
  bool killed_rest() const { return killed_rest_; }
  /// Kills all its processes. ended() follows, after at most a second even if one cannot be killed.
  void kill();

 private:
  static constexpr std::int64_t kSilentMs =
      1000;  // a process left behind that writes nothing is not waited for
  static constexpr std::int64_t kDyingMs = 1000;
  static constexpr std::size_t kPipe = std::size_t{1}
                                       << 20;  // no pipe holds more (/proc/sys/fs/pipe-max-size)

  struct Pipe {
    int fd = -1;
    bool paused = false;
    std::size_t left = kPipe;  // to be read after the last process has gone
    std::unique_ptr<io::FdWatcher> watch;
    void close();
  };
  enum class State { running, exited, killed, gone };

  Child(io::Loop &loop, Observer &observer, std::int64_t grace_ms);
  bool open_pipes(int (&theirs)[5], const std::string &params);
  void watch_all();
  void on_stdin();
  void on_stream(Stream stream);
  void on_control();
  void on_exit(int wait_status);
  void on_gone();
  void on_timer();
  void read_rest(Stream stream);
  void maybe_end();
  void order(char order);
  bool is_over() const;

  io::Loop &loop_;
  Observer &observer_;
  std::int64_t grace_ms_;
  State state_ = State::running;
  bool terminating_ = false;  // its processes may use the grace to clean up
  int wait_status_;
  std::int64_t exited_at_ = 0;
  std::int64_t heard_at_ = 0;
  Pipe stdin_;
  Pipe streams_[3];
  Pipe control_;
  std::unique_ptr<io::Timer> timer_;
  std::string to_write_;
  bool close_stdin_ = false;
  bool killed_rest_ = false;
};

}  // namespace await::worker
