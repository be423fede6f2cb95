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
  /// @param poll_ms  the interval
  TableSource(io::Loop &loop, pg::Connection &connection, std::int64_t poll_ms);

  void listen(Listener &listener) override;
  void forget(Listener &listener) override;
  void read(const std::string &position, int limit, core::Reply<RelayPage> &reply) override;
  /// There may be news before the next look.
  void nudge();

 private:
  void look();
  static Result<std::string> decode_snapshot(const pg::Rows &rows, std::size_t);
  void on_snapshot(Result<std::string> snapshot);
  void tell();

  pg::Connection &connection_;
  std::int64_t poll_ms_;
  std::vector<Listener *> listeners_;
  std::string snapshot_;  // as it was seen last
  core::Reply<std::string> reply_ = core::Reply<std::string>::to<&TableSource::on_snapshot>(this);
  std::unique_ptr<io::Timer> timer_;
};

/// The most bytes of a JSON result that comes with its event.
inline constexpr int kValueMax = 16384;
/// Decodes statements::kRelayPage, and what begins with the same columns.
Result<RelayPage> decode_relay_page(const pg::Rows &rows, std::size_t);
/// Reads a page of await.relay_page(); for sources that fall back to the tables.
void read_relay_page(pg::Connection &connection, const std::string &cursor, int limit,
                     core::Reply<RelayPage> &reply);

}  // namespace await::relay
