#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/ports.h"
#include "io/log.h"
#include "io/loop.h"
#include "relay/leases.h"

namespace await::relay {

/// Whether this process leads the relays of its name, by a lease in the database that is renewed all the
/// time (await.relay_lease). A leader that cannot renew stops before the lease is over; a standby then takes
/// over within two seconds.
class Leader {
 public:
  class Listener {
   public:
    virtual void on_lead() = 0;
    /// Whatever was begun for the lease must not be finished: another relay does it.
    virtual void on_lost_lead() = 0;

   protected:
    ~Listener() = default;
  };

  Leader(io::Loop &loop, io::Log &log, Leases &leases, std::string relay, std::string holder,
         Listener &listener);

  /// The connection was established, maybe to another server: cursors have to be read again.
  void on_connection();
  /// Gives the lease back.
  void release();
  /// False as soon as the lease is over: also in a process that stood still, before it learns of it by a
  /// timer.
  bool leads() const { return leads_ && loop_.monotonic_ms() < ends_ms_; }
  /// Proves the lead in a transaction: await.relay_holds(relay(), token()). Only while it leads.
  std::int64_t token() const { return *token_; }
  const std::string &relay() const { return relay_; }
  /// Who leads, if it is another one; for logs.
  const std::string &holder() const { return other_; }
  /// A statement was refused because the token is no longer the newest.
  void on_refused() { lose("another relay has taken over"); }

 private:
  static constexpr std::int64_t kSpanMs = 1500;
  static constexpr std::int64_t kRenewMs = 500;
  static constexpr std::int64_t kMarginMs = 200;  // it stops so long before the lease is over

  void ask();
  void on_lease(Result<Lease> lease);
  void lose(const std::string &why);
  void give_back();

  io::Loop &loop_;
  io::Log &log_;
  Leases &leases_;
  std::string relay_;
  std::string self_;
  Listener &listener_;
  std::optional<std::int64_t> token_;
  std::string other_;
  bool leads_ = false;
  bool released_ = false;
  std::int64_t asked_ms_ = 0;
  std::int64_t ends_ms_ = 0;  // the lease, less the margin
  core::Reply<Lease> reply_ = core::Reply<Lease>::to<&Leader::on_lease>(this);
  std::unique_ptr<io::Timer> ask_timer_;
  std::unique_ptr<io::Timer> end_timer_;
};

}  // namespace await::relay
