#include "cli/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace await::cli {

void StderrLog::print(std::string_view line) const {
  std::fprintf(stderr, "%s: %.*s\n", program_.c_str(), static_cast<int>(line.size()), line.data());
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  auto digits = text.find_first_not_of("0123456789");
  auto number = parse_number(text.substr(0, digits), 1'000'000'000);
  std::string_view unit = digits == std::string_view::npos ? "s" : text.substr(digits);
  std::int64_t scale = unit == "ms"  ? 1
                       : unit == "s" ? 1000
                       : unit == "m" ? 60'000
                       : unit == "h" ? 3'600'000
                                     : 0;
  return number && scale > 0 ? std::optional(*number * scale) : std::nullopt;
}

std::string is_time(const std::string &text) {
  return parse_time(text) ? "" : "\"" + text + "\" is not a time such as 5m, 90s or 1h";
}

std::optional<std::string> from_environment(const char *name) {
  const char *value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

void keep_standard_descriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0)
      static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

std::string process_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return std::string(name) + ":" + std::to_string(::getpid());
}

int open_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : signals)
    sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

}  // namespace await::cli
