#include "worker/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace await::worker {
namespace {

constexpr int kNotStarted = 127 << 8;  // the wait status of a shell that cannot run a command

void complain(int fd, const char *what, const char *command) {
  const char *why = std::strerror(errno);
  for (const char *text : {what, command, ": ", why, "\n"}) {
    if (::write(fd, text, std::strlen(text)) < 0)
      return;
  }
}

/// Becomes the command; uses only functions that are safe after fork().
[[noreturn]] void become(const Launch &launch, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(127);  // the parent exited before prctl()
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  int moved[5];
  for (int i = 0; i < 5; ++i)
    moved[i] = ::fcntl(launch.fds[i], F_DUPFD_CLOEXEC, 10);  // out of the way of 0 … 4
  for (int i = 0; i < 5; ++i)
    ::dup2(moved[i], i);
  ::execvpe(launch.argv[0], launch.argv, launch.environment);
  if (errno == E2BIG) {
    char **last = launch.environment;
    while (*last != nullptr && std::strncmp(*last, "AWAIT_PARAMS=", 13) != 0)
      ++last;
    *last = nullptr;
    ::execvpe(launch.argv[0], launch.argv, launch.environment);
  }
  complain(2, "cannot run ", launch.argv[0]);
  ::_exit(127);
}

/// The parent of a process, from /proc/<pid>/stat; 0 if it has gone. A command's name in it may contain any
/// character, so what follows it is searched from the end.
pid_t parent_of(const char *pid) {
  char text[512];
  std::snprintf(text, sizeof text, "/proc/%s/stat", pid);
  int fd = ::open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  text[std::max<ssize_t>(n, 0)] = '\0';
  const char *name_end = std::strrchr(text, ')');
  return name_end != nullptr && std::strlen(name_end) > 4 ? std::atoi(name_end + 4) : 0;
}

/// The processes below this one. Empty without /proc.
std::vector<pid_t> descendants() {
  std::vector<std::pair<pid_t, pid_t>> all;  // parent and child
  std::unique_ptr<DIR, int (*)(DIR *)> proc(::opendir("/proc"), ::closedir);
  while (dirent *entry = proc ? ::readdir(proc.get()) : nullptr) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
      all.emplace_back(parent_of(entry->d_name), std::atoi(entry->d_name));
  }
  std::sort(all.begin(), all.end());
  std::vector<pid_t> found{::getpid()};
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto at = std::lower_bound(all.begin(), all.end(), std::pair<pid_t, pid_t>(found[i], 0));
    for (; at != all.end() && at->first == found[i]; ++at)
      found.push_back(at->second);
  }
  found.erase(found.begin());
  return found;
}

void signal_all(pid_t command, int number) {
  std::vector<pid_t> all = descendants();
  if (all.empty())
    ::kill(-command, number);
  for (pid_t pid : all)
    ::kill(pid, number);
}

/// Reaps what has exited, and reports the command. Returns false if no process is left.
bool reap(pid_t command, int control) {
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == command)
      ::send(control, &status, sizeof status, MSG_NOSIGNAL);
  }
  return pid == 0 || errno != ECHILD;
}

/// So that the pipes end with the processes of the command. Other supervisors' sockets are closed too: they
/// must end with the worker.
void close_all_but(int fd) {
  if ((fd == 0 || ::close_range(0, static_cast<unsigned>(fd - 1), 0) == 0) &&
      ::close_range(static_cast<unsigned>(fd + 1), ~0U, 0) == 0)
    return;
  long most = std::min(::sysconf(_SC_OPEN_MAX), 65536L);  // Linux before 5.9
  for (int other = 0; other < most; ++other) {
    if (other != fd)
      ::close(other);
  }
}

int open_child_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Reads the next order. Returns whether all processes are to be killed.
bool follow_order(pid_t command, int control) {
  char order = 0;
  ssize_t n = ::recv(control, &order, 1, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  if (n == 1 && order == static_cast<char>(Order::terminate)) {
    signal_all(command, SIGTERM);
    return false;
  }
  return true;  // ordered, or the worker has gone
}

}  // namespace

void supervise(const Launch &launch) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "await-job");
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);  // the worker decides when the command ends
  pid_t self = ::getpid();
  pid_t command = ::fork();
  if (command == 0)
    become(launch, self);
  if (command < 0) {
    complain(launch.fds[2], "cannot start the command", "");
    ::send(launch.control, &kNotStarted, sizeof kNotStarted, MSG_NOSIGNAL);
    ::_exit(0);
  }
  close_all_but(launch.control);
  pollfd waits[2] = {{launch.control, POLLIN, 0}, {open_child_signal(), POLLIN, 0}};
  bool killing = false;
  int pause_ms = 10;  // between attempts to kill: a process may have forked in the meantime
  while (reap(command, launch.control)) {
    if (killing) {
      signal_all(command, SIGKILL);
      pause_ms = std::min(2 * pause_ms, 500);
    }
    ::poll(waits, 2, killing ? pause_ms : -1);
    signalfd_siginfo info;
    while (::read(waits[1].fd, &info, sizeof info) > 0) {
    }
    if (!killing && waits[0].revents != 0 && follow_order(command, launch.control)) {
      killing = true;
      waits[0].fd = -1;
    }
  }
  ::_exit(0);
}

}  // namespace await::worker
