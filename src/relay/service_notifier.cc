#include "relay/service_notifier.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "base/text.h"
#include "cli/program.h"

namespace await::relay {

ServiceNotifier::ServiceNotifier(io::Loop &loop)
    : path_(cli::from_environment("NOTIFY_SOCKET").value_or("")),
      timer_(loop.timer([this] { alive(); }, io::Loop::Quit::may)) {
  if (path_.empty() || path_.size() >= sizeof(sockaddr_un::sun_path) ||
      (path_.front() != '/' && path_.front() != '@'))
    return;
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  auto usec = parse_number(cli::from_environment("WATCHDOG_USEC").value_or(""), INT64_MAX);
  std::string pid = cli::from_environment("WATCHDOG_PID").value_or("");
  if (usec && (pid.empty() || pid == std::to_string(::getpid())))
    watchdog_ms_ = *usec / 1000;
}

ServiceNotifier::~ServiceNotifier() {
  if (fd_ >= 0)
    ::close(fd_);
}

void ServiceNotifier::send(std::string_view message) const {
  if (fd_ < 0)
    return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (path_.front() == '@')
    address.sun_path[0] = '\0';  // an abstract socket
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  // whoever does not listen has no interest
  (void)::sendto(fd_, message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr *>(&address), size);
}

void ServiceNotifier::ready() {
  if (ready_)
    return;
  ready_ = true;
  send("READY=1");
  alive();
}

void ServiceNotifier::alive() {
  if (watchdog_ms_ == 0)
    return;
  send("WATCHDOG=1");
  timer_->set(watchdog_ms_ / 3);
}

void ServiceNotifier::stopping() { send("STOPPING=1"); }

}  // namespace await::relay
