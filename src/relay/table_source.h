#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pg/connection.h"
#include "relay/source.h"

namespace await::relay {

/// Reads events from the tables (await.relay_page). Looks for news by comparing the snapshot of the database,
/// which is cheap while nothing changes.
class TableSource : public Source {
 public:
  /// @param bulk     for those who are far behind
  /// @param poll_ms  the interval
  TableSource(io::Loop &loop, pg::Connection &connection, pg::Connection &bulk, std::int64_t poll_ms);

  void listen(Listener &listener) override;
  void forget(Listener &listener) override;
  void read(Listener &listener, const std::string &position, int limit,
            core::Reply<RelayPage> &reply) override;
  /// The connection is established. Where `await.notify` is on and no pooler stands between, news are heard
  /// of at once; the tables are looked at all the same, because a session may have the setting off.
  void on_connection();
  void on_notification() { tell(); }

 private:
  void look();
  static Result<std::string> decode_snapshot(const pg::Rows &rows, std::size_t);
  void on_snapshot(Result<std::string> snapshot);
  static Result<bool> decode_setting(const pg::Rows &rows, std::size_t);
  void on_setting(Result<bool> notifies);
  void tell();

  pg::Connection &connection_;
  pg::Connection &bulk_;
  std::int64_t poll_ms_;
  std::vector<Listener *> listeners_;
  std::string snapshot_;  // as it was seen last
  core::Reply<std::string> reply_ = core::Reply<std::string>::to<&TableSource::on_snapshot>(this);
  core::Reply<bool> setting_reply_ = core::Reply<bool>::to<&TableSource::on_setting>(this);
  std::unique_ptr<io::Timer> timer_;
};

/// The most bytes of a JSON result that comes with its event.
inline constexpr int kValueMax = 16384;
/// Decodes statements::kRelayPage, and what begins with the same columns.
Result<RelayPage> decode_relay_page(const pg::Rows &rows, std::size_t);

}  // namespace await::relay
