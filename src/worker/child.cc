#include "worker/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "worker/supervisor.h"

namespace await::worker {
namespace {

constexpr std::size_t kMaxParams =
    65536;  // in AWAIT_PARAMS; the system takes 128 KB (execve(2), MAX_ARG_STRLEN)

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// The environment of the command: that of this process without withheld and replaced variables, and the
/// given ones. Of two variables with the same name, a command would see the first.
std::vector<std::string> environment_of(const Command &command) {
  std::vector<std::string> words;
  for (char **entry = environ; *entry != nullptr; ++entry) {
    std::string_view name(*entry, std::strcspn(*entry, "="));
    bool goes = name != "AWAIT_PARAMS" && name != "AWAIT_PARAMS_FILE" &&
                std::find(command.withheld.begin(), command.withheld.end(), name) == command.withheld.end() &&
                std::none_of(command.environment.begin(), command.environment.end(),
                             [&](const auto &pair) { return pair.first == name; });
    if (goes)
      words.emplace_back(*entry);
  }
  for (const auto &[name, value] : command.environment)
    words.push_back(name + "=" + value);
  words.emplace_back("AWAIT_PARAMS_FILE=/proc/self/fd/4");
  if (command.params.size() <= kMaxParams)
    words.push_back("AWAIT_PARAMS=" + command.params);  // the last one: see Launch
  return words;
}

std::vector<char *> pointers(std::vector<std::string> &words) {
  std::vector<char *> out;
  for (std::string &word : words)
    out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

/// A file in memory with these contents, at its beginning; -1 on failure.
int file_of(const std::string &text) {
  int fd = ::memfd_create("await-params", MFD_CLOEXEC);
  std::size_t done = 0;
  while (fd >= 0 && done < text.size()) {
    ssize_t n = ::pwrite(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n <= 0) {
      ::close(fd);
      return -1;
    }
    done += static_cast<std::size_t>(n);
  }
  return fd;
}

}  // namespace

void Child::Pipe::close() {
  watch.reset();
  if (fd >= 0)
    ::close(fd);
  fd = -1;
}

Child::Child(io::Loop &loop, Observer &observer, std::int64_t grace_ms)
    : loop_(loop),
      observer_(observer),
      grace_ms_(grace_ms),
      wait_status_(SIGKILL),  // if the supervisor is killed before it reports
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

bool Child::open_pipes(int (&theirs)[5], const std::string &params) {
  for (int i = 0; i < 4; ++i) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return false;
    theirs[i] = ends[i == 0 ? 0 : 1];
    (i == 0 ? stdin_ : streams_[i - 1]).fd = ends[i == 0 ? 1 : 0];
    set_nonblocking(ends[i == 0 ? 1 : 0]);
  }
  theirs[4] = file_of(params);
  return theirs[4] >= 0;
}

Result<std::unique_ptr<Child>> Child::start(io::Loop &loop, const Command &command, Observer &observer) {
  std::unique_ptr<Child> child(new Child(loop, observer, command.grace_ms));
  Launch launch{nullptr, nullptr, {-1, -1, -1, -1, -1}, -1};
  int control[2] = {-1, -1};
  bool ok = child->open_pipes(launch.fds, command.params) &&
            ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0;
  child->control_.fd = control[0];
  launch.control = control[1];
  std::vector<std::string> argument_words = command.words;
  std::vector<std::string> environment_words = environment_of(command);
  std::vector<char *> arguments = pointers(argument_words);
  std::vector<char *> environment = pointers(environment_words);
  launch.argv = arguments.data();
  launch.environment = environment.data();

  pid_t pid = ok ? ::fork() : -1;
  if (pid == 0)
    supervise(launch);
  int why = errno;
  for (int fd : {launch.fds[0], launch.fds[1], launch.fds[2], launch.fds[3], launch.fds[4], launch.control}) {
    if (fd >= 0)
      ::close(fd);
  }
  if (pid < 0)
    return Error{Code::unavailable, std::string("cannot start the command: ") + std::strerror(why)};
  child->watch_all();
  return child;
}

void Child::watch_all() {
  stdin_.watch = loop_.watch(stdin_.fd, [this] { on_stdin(); });
  for (Stream stream : {kOut, kErr, kNotes}) {
    streams_[stream].watch = loop_.watch(streams_[stream].fd, [this, stream] { on_stream(stream); });
    streams_[stream].watch->want(true, false);
  }
  control_.watch = loop_.watch(control_.fd, [this] { on_control(); });
  control_.watch->want(true, false);
}

Child::~Child() {
  stdin_.close();
  for (Pipe &stream : streams_)
    stream.close();
  control_.close();  // the supervisor kills what is left
}

void Child::order(char order) {
  if (control_.fd >= 0)
    ::send(control_.fd, &order, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Child::terminate() {
  terminating_ = true;
  order(static_cast<char>(Order::terminate));
}

void Child::kill() {
  if (state_ == State::killed || state_ == State::gone)
    return;
  state_ = State::killed;
  order(static_cast<char>(Order::kill));
  timer_->set(kDyingMs);
}

void Child::write(const std::string &bytes) {
  if (stdin_.fd < 0)
    return;
  to_write_ += bytes;
  stdin_.watch->want(false, true);
}

void Child::close_stdin_when_written() {
  close_stdin_ = true;
  if (to_write_.empty())
    stdin_.close();
}

void Child::on_stdin() {
  while (!to_write_.empty()) {
    ssize_t n = ::write(stdin_.fd, to_write_.data(), to_write_.size());
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {  // it has closed its stdin: discard the rest
      to_write_.clear();
      stdin_.close();
      return;
    }
    to_write_.erase(0, static_cast<std::size_t>(n));
  }
  if (close_stdin_) {
    stdin_.close();
    return;
  }
  stdin_.watch->want(false, false);
  observer_.thirsty();
}

void Child::pause(Stream stream, bool paused) {
  Pipe &pipe = streams_[stream];
  if (pipe.fd < 0 || pipe.paused == paused)
    return;
  pipe.paused = paused;
  heard_at_ = loop_.monotonic_ms();
  pipe.watch->want(!paused, false);
  if (state_ == State::gone && !paused)
    timer_->set(0);
}

void Child::on_stream(Stream stream) {
  if (state_ == State::gone) {
    timer_->set(0);
    return;
  }
  char buffer[65536];
  ssize_t n = ::read(streams_[stream].fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0) {
    heard_at_ = loop_.monotonic_ms();
    observer_.said(stream, {buffer, static_cast<std::size_t>(n)});
    return;
  }
  streams_[stream].close();
  maybe_end();
}

void Child::on_control() {
  int status = 0;
  ssize_t n = ::recv(control_.fd, &status, sizeof status, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n == sizeof status)
    on_exit(status);
  else
    on_gone();
}

void Child::on_exit(int wait_status) {
  wait_status_ = wait_status;
  to_write_.clear();
  stdin_.close();
  exited_at_ = heard_at_ = loop_.monotonic_ms();
  if (state_ != State::running)
    return;
  state_ = State::exited;
  timer_->set(std::min(kSilentMs, grace_ms_));
  maybe_end();
}

/// All processes have ended, or cannot be killed: what is in the pipes is all that comes.
void Child::on_gone() {
  state_ = State::gone;
  timer_->clear();
  control_.close();
  stdin_.close();
  for (Pipe &stream : streams_) {
    if (stream.watch)
      stream.watch->want(false, false);
  }
  timer_->set(0);  // not from here: ended() may destroy this
}

void Child::on_timer() {
  if (state_ == State::gone) {
    for (Stream stream : {kOut, kErr, kNotes}) {
      if (streams_[stream].fd >= 0 && !streams_[stream].paused)
        read_rest(stream);
    }
    maybe_end();
  } else if (state_ == State::killed) {
    on_gone();
  } else if (is_over()) {
    killed_rest_ = !terminating_;
    kill();
  } else {
    timer_->set(std::min<std::int64_t>(100, grace_ms_));
  }
}

/// Whether processes that the exited command has left behind have had their time.
bool Child::is_over() const {
  std::int64_t now = loop_.monotonic_ms();
  if (now - exited_at_ >= grace_ms_)
    return true;
  bool waits_for_us =
      std::any_of(std::begin(streams_), std::end(streams_), [](const Pipe &pipe) { return pipe.paused; });
  return !terminating_ && !waits_for_us && now - heard_at_ >= std::min(kSilentMs, grace_ms_);
}

/// Reads what is left in a pipe that only a process out of our reach can still have open.
void Child::read_rest(Stream stream) {
  Pipe &pipe = streams_[stream];
  char buffer[65536];
  while (pipe.fd >= 0 && !pipe.paused) {
    ssize_t n = ::read(pipe.fd, buffer, std::min(sizeof buffer, pipe.left));
    if (n <= 0) {
      pipe.close();
      return;
    }
    pipe.left -= static_cast<std::size_t>(n);
    observer_.said(stream, {buffer, static_cast<std::size_t>(n)});
  }
}

void Child::maybe_end() {
  bool closed =
      std::all_of(std::begin(streams_), std::end(streams_), [](const Pipe &pipe) { return pipe.fd < 0; });
  if (!closed)
    return;
  if (state_ == State::gone)
    observer_.ended(wait_status_);
  else if (state_ == State::exited && !terminating_)
    kill();  // nothing can be heard any more of what the command has left behind
}

}  // namespace await::worker
