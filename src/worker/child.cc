#include "worker/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace await::worker {
namespace {

constexpr int kChildFds[] = {1, 2, 3};

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// The environment of the command: that of this process without withheld and replaced variables, and the
/// given ones. Of two variables with the same name, a command would see the first.
std::vector<std::string> environment_of(const std::vector<std::pair<std::string, std::string>> &added,
                                        const std::vector<std::string> &withheld) {
  std::vector<std::string> words;
  for (char **entry = environ; *entry != nullptr; ++entry) {
    std::string_view name(*entry, std::strcspn(*entry, "="));
    bool goes =
        std::find(withheld.begin(), withheld.end(), name) == withheld.end() &&
        std::none_of(added.begin(), added.end(), [&](const auto &pair) { return pair.first == name; });
    if (goes)
      words.emplace_back(*entry);
  }
  for (const auto &[name, value] : added)
    words.push_back(name + "=" + value);
  return words;
}

/// Runs in the new process; uses only functions that are safe after fork().
[[noreturn]] void become(char *const *argv, char *const *environment, const int (&fds)[4], pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(127);  // the parent exited before prctl()
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  int moved[4];
  for (int i = 0; i < 4; ++i)
    moved[i] = ::fcntl(fds[i], F_DUPFD, 10);  // out of the way of 0 … 3
  for (int i = 0; i < 4; ++i)
    ::dup2(moved[i], i);
  for (int fd : moved)
    ::close(fd);
  ::execvpe(argv[0], argv, environment);
  const char *why = std::strerror(errno);
  for (const char *text : {"cannot run ", static_cast<const char *>(argv[0]), ": ", why, "\n"}) {
    if (::write(2, text, std::strlen(text)) < 0)
      break;
  }
  ::_exit(127);
}

}  // namespace

void Child::Pipe::close() {
  watch.reset();
  if (fd >= 0)
    ::close(fd);
  fd = -1;
}

Result<std::unique_ptr<Child>> Child::start(
    io::Loop &loop, const std::vector<std::string> &command,
    const std::vector<std::pair<std::string, std::string>> &environment,
    const std::vector<std::string> &withheld, Observer &observer) {
  std::unique_ptr<Child> child(new Child(loop, observer));
  int theirs[4] = {-1, -1, -1, -1};
  bool ok = true;
  for (int i = 0; i < 4 && ok; ++i) {
    int ends[2];
    ok = ::pipe2(ends, O_CLOEXEC) == 0;
    if (!ok)
      break;
    theirs[i] = ends[i == 0 ? 0 : 1];
    (i == 0 ? child->stdin_ : child->streams_[i - 1]).fd = ends[i == 0 ? 1 : 0];
    set_nonblocking(ends[i == 0 ? 1 : 0]);
  }
  std::vector<char *> argv;
  for (const std::string &word : command)
    argv.push_back(const_cast<char *>(word.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> words = environment_of(environment, withheld);
  std::vector<char *> envp;
  for (std::string &word : words)
    envp.push_back(word.data());
  envp.push_back(nullptr);

  pid_t parent = ::getpid();
  child->pid_ = ok ? ::fork() : -1;
  if (child->pid_ == 0)
    become(argv.data(), envp.data(), theirs, parent);
  int why = errno;
  for (int fd : theirs) {
    if (fd >= 0)
      ::close(fd);
  }
  if (child->pid_ < 0)
    return Error{Code::unavailable, std::string("cannot start the command: ") + std::strerror(why)};
  ::setpgid(child->pid_, child->pid_);
  Child *self = child.get();
  child->stdin_.watch = loop.watch(child->stdin_.fd, [self] { self->on_stdin(); });
  for (Stream stream : {kOut, kErr, kNotes}) {
    child->streams_[stream].watch =
        loop.watch(child->streams_[stream].fd, [self, stream] { self->on_stream(stream); });
    child->streams_[stream].watch->want(true, false);
  }
  return child;
}

Child::~Child() {
  stdin_.close();
  for (Pipe &stream : streams_)
    stream.close();
  if (pid_ > 0)
    ::kill(-pid_, SIGKILL);  // also its remaining children in the group
}

void Child::signal(int number) {
  if (pid_ > 0 && !reaped_)
    ::kill(-pid_, number);
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

void Child::pause_out(bool paused) {
  if (streams_[kOut].watch)
    streams_[kOut].watch->want(!paused, false);
}

void Child::on_stream(Stream stream) {
  char buffer[65536];
  ssize_t n = ::read(streams_[stream].fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0) {
    observer_.said(stream, {buffer, static_cast<std::size_t>(n)});
    return;
  }
  streams_[stream].close();
  maybe_end();
}

void Child::reaped(int wait_status) {
  wait_status_ = wait_status;
  reaped_ = true;
  // a grandchild may keep stderr or descriptor 3 open forever, so only stdout is waited for
  for (Stream stream : {kErr, kNotes}) {
    if (streams_[stream].fd < 0)
      continue;
    char buffer[65536];
    ssize_t n = 0;
    while (streams_[stream].fd >= 0 && (n = ::read(streams_[stream].fd, buffer, sizeof buffer)) > 0)
      observer_.said(stream, {buffer, static_cast<std::size_t>(n)});
    streams_[stream].close();
  }
  maybe_end();
}

void Child::maybe_end() {
  if (reaped_ && streams_[kOut].fd < 0)
    observer_.ended(wait_status_);
}

}  // namespace await::worker
