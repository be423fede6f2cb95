#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/revocations.h"
#include "http/runtime/counters.h"
#include "ngx/held.h"
#include "ngx/loop.h"

namespace await::http {

/// The registry of all held requests: ends them when nginx shuts down, or when their owner is revoked.
///
/// At a shutdown all are asked to end (drain) within half of await_drain, in steps: clients that are
/// disconnected at the same moment would reconnect at the same moment. At four fifths of the time those that
/// are left must answer (give_up), at the end their connections are closed (cut).
class Lifecycle {
 public:
  Lifecycle(ngx::Loop &loop, Counters &counters, core::AccessStore &store, std::int64_t drain_ms);
  ~Lifecycle();
  Lifecycle(const Lifecycle &) = delete;
  Lifecycle &operator=(const Lifecycle &) = delete;

  /// Registers a request until it is destroyed.
  void register_held(ngx::Held &held);
  /// Whether any request is held that was not asked to end.
  bool has_active() const { return !active_.empty(); }
  /// Whether nginx is shutting down.
  bool draining() const { return draining_; }

  /// Whether what was issued to `owner` at this time, by the database's clock, has been revoked since.
  bool is_revoked(const std::string &owner, std::int64_t issued_ms) const {
    return revocations_.is_revoked(owner, issued_ms);
  }
  /// Reads the revocations, and ends the requests of owners that were revoked.
  void check_revocations() { revocations_.look(); }

  /// Brings the gauges up to date.
  void sample(Counters &counters) const { counters.set(Gauge::draining, draining_ ? 1 : 0); }

 private:
  using HeldList = List<ngx::Held, ngx::IsHeld>;

  void watch_shutdown();
  void on_shutdown();
  void drain_step();
  void on_revoked(const std::string &owner);

  ngx::Loop &loop_;
  Counters &counters_;
  core::Revocations revocations_;
  bool draining_ = false;
  std::int64_t drain_ms_;
  std::int64_t drain_began_ms_ = 0;
  std::size_t drain_count_ = 0;  // requests that are drained in one step
  HeldList active_;
  HeldList drained_;  // were asked to end
  std::unique_ptr<io::Timer> drain_timer_;
  ngx_connection_t *shutdown_ = nullptr;  // nginx closes it when it shuts down
  int shutdown_fd_ = -1;
};

}  // namespace await::http
