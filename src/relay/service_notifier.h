#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/loop.h"

namespace await::relay {

/// Tells the service manager that the program is ready, alive, or about to stop (sd_notify(3)): datagrams to
/// the socket in $NOTIFY_SOCKET. Does nothing where there is none.
class ServiceNotifier {
 public:
  explicit ServiceNotifier(io::Loop &loop);
  ~ServiceNotifier();
  ServiceNotifier(const ServiceNotifier &) = delete;
  ServiceNotifier &operator=(const ServiceNotifier &) = delete;

  void ready();
  void stopping();

 private:
  void send(std::string_view message) const;
  void alive();

  std::string path_;
  int fd_ = -1;
  bool ready_ = false;
  std::int64_t watchdog_ms_ = 0;
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::relay
