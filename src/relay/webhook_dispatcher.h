#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/ports.h"
#include "curl/client.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/random.h"
#include "pg/connection.h"
#include "pg/rows.h"
#include "relay/webhook_hosts.h"

namespace await::relay {

/// Sends the deliveries of webhooks that are due (await.due_deliveries), and stores what came of each
/// attempt, while this relay leads. A delivery that was sent, but whose outcome could not be stored, is sent
/// again: with the same id.
class WebhookDispatcher {
 public:
  struct Options {
    curl::Client::Options client;
    bool allow_http = false;
    WebhookHosts::Limits hosts;
    std::int64_t timeout_ms = 15'000;     ///< of a request
    std::int64_t first_delay_ms = 5'000;  ///< after the first attempt, see wire::webhook_delay_ms()
  };

  WebhookDispatcher(io::Loop &loop, io::Log &log, io::Random &random, pg::Connection &reads,
                    pg::Connection &writes, Options options);
  ~WebhookDispatcher();

  void lead(bool leads);
  /// There may be deliveries that are due.
  void wake();
  /// Nothing is in flight or to be stored.
  bool idle() const { return attempts_.empty(); }
  /// Nor is anything due that could be sent now.
  bool settled() const { return idle() && settled_; }

 private:
  class Attempt;
  friend class Attempt;

  /// A delivery that is due.
  struct Due {
    std::int64_t id = 0;
    int webhook = 0;
    std::string event;  ///< its id for the receiver
    std::string host;
    std::string url;
    std::string body;
    int attempts = 0;
    std::int64_t due_us = 0;
    std::optional<std::vector<std::string>> keys;  ///< empty: the endpoint is disabled
  };
  struct Page {
    std::vector<Due> rows;
    std::string upto;  ///< empty: this was the end
  };
  /// What came of an attempt, to be stored.
  struct Outcome {
    std::int64_t id = 0;
    int attempts = 0;
    std::string word;
    std::int64_t delay_ms = 0;
    int status = 0;
    std::string error;  ///< empty: there is none
    std::int64_t ms = 0;
    std::string event{};  ///< as in Due
  };
  static constexpr std::int64_t kPollMs = 500;
  static constexpr std::int64_t kSoonMs = 20;
  static constexpr std::int64_t kForgetMs = 60'000;
  static constexpr std::size_t kMostUnstored = 4096;

  static Result<Page> decode(const pg::Rows &rows, std::size_t);
  void look();
  void on_page(Result<Page> page);
  void take(Due due);
  void settle(Attempt &attempt, Outcome outcome);
  void store();
  void on_stored(const Result<int> &passed);

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  pg::Connection &reads_;
  pg::Connection &writes_;
  Options options_;
  curl::Client client_;
  WebhookHosts hosts_;
  bool leads_ = false;
  bool woken_ = false;
  bool found_ = false;    // the pass that is under way has found something
  bool settled_ = false;  // the last pass found nothing
  std::string after_;     // the host that the pass has come to
  std::int64_t forgot_ms_ = 0;
  std::map<std::int64_t, std::unique_ptr<Attempt>> attempts_;  // by the delivery; also those to be stored
  // that were stored while a page was read, which may still have them as due
  std::set<std::int64_t> stored_meanwhile_;
  std::vector<Outcome> outcomes_;  // to be stored
  std::vector<Outcome> storing_;
  core::Reply<Page> page_reply_ = core::Reply<Page>::to<&WebhookDispatcher::on_page>(this);
  core::Reply<int> stored_reply_ = core::Reply<int>::to<&WebhookDispatcher::on_stored>(this);
  std::unique_ptr<io::Timer> look_timer_;
  std::unique_ptr<io::Timer> store_timer_;
};

}  // namespace await::relay
