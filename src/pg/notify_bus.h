#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// core::Bus on LISTEN and NOTIFY, for a database with `await.notify`. The database itself notifies
/// (sql/functions/notify), so nothing is published from here. Thin hints of all jobs come on the channel
/// "await_hint", and any message on "await_revoked"; for workers, names of queues on "await_work" and ids of
/// jobs that were ended by others on "await_cancel".
///
/// Listens on a connection that has other work too: whoever owns it forwards on_connection() and
/// on_notification(). A pooler that gives each transaction another session would leave the LISTEN to the next
/// client. So nothing is done unless the session is the server's own; and it counts only after a notification
/// of its own has come back. Otherwise changes are found by reading periodically, as without notifications.
class NotifyBus : public core::Bus {
 public:
  NotifyBus(io::Loop &loop, io::Log &log, io::Random &random, Connection &connection);

  /// For edges. Call this or the next, once, before the connection is started.
  void listen(core::Bus::Listener &listener) { listener_ = &listener; }
  /// For workers: calls `on_work` with the queue that has work, and `on_ended` with the id of the job; with
  /// an empty text when listening has begun, because messages may have been missed before.
  void listen(std::function<void(std::string_view queue)> on_work,
              std::function<void(std::string_view job)> on_ended);

  /// The connection was established.
  void on_connection();
  void on_notification(std::string_view channel, std::string_view message);
  /// Whether notifications arrive.
  bool ready() const { return ready_ && connection_.ready(); }
  /// Why no notifications arrive although `await.notify` is on, as it was logged; else empty.
  const std::string &problem() const { return told_; }

  void subscribe(unsigned shard) override { shards_.set(shard); }
  void unsubscribe(unsigned shard) override { shards_.reset(shard); }
  void publish(const Uuid &, int, std::string_view) override {}
  void announce(std::string_view) override {}

 private:
  void ask();
  static Result<bool> decode(const Rows &rows, std::size_t);
  void on_setting(Result<bool> is_on);
  void prove();
  void on_proof();
  void on_silence();
  void tell(const std::string &why);

  io::Log &log_;
  io::Random &random_;
  Connection &connection_;
  core::Bus::Listener *listener_ = nullptr;
  std::function<void(std::string_view)> on_work_;
  std::function<void(std::string_view)> on_ended_;
  std::bitset<4096> shards_;
  std::string proof_;  // the message that is expected back; empty: none
  bool ready_ = false;
  std::string told_;  // the trouble that was logged
  core::Reply<bool> reply_ = core::Reply<bool>::to<&NotifyBus::on_setting>(this);
  std::unique_ptr<io::Timer> silence_timer_;
};

}  // namespace await::pg
