#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cursor.h"
#include "core/subscription.h"
#include "http/runtime/backends.h"
#include "wire/signed_hint.h"

namespace await::http {

/// The keys that the database signs with: tickets, cursors and hints are verified by them. They change when
/// await.rotate_key() is called, so they are queried again periodically, and when a signature is unknown.
class SigningKeys {
 public:
  /// @param reread_ms  await_reread: every node queries the keys at this interval
  SigningKeys(ngx::Loop &loop, Backends &backends, std::int64_t reread_ms);

  /// The key to sign with, followed by earlier keys that are still valid. Empty: not known yet, see
  /// Backends::wait_for_greeting().
  std::span<const std::string> all() const { return keys_; }
  /// The key to sign with; empty: not known yet.
  std::string_view current() const { return keys_.empty() ? std::string_view() : keys_.front(); }
  /// The same keys for cursors. Changes in place.
  const core::CursorKeys &cursor_keys() const { return cursor_keys_; }
  /// Verifies hints.
  const wire::Verifier &verifier() const { return verifier_; }
  /// The timeline of the database that has these keys, as it reports it.
  const std::string &timeline() const { return timeline_; }

  void on_greeting(const pg::Hello &hello);
  /// Queries the keys of the database, at most once a second.
  void refresh();
  /// The same, at most ten times a second. `waiter` waits for the answer to a query that is sent after
  /// this call; is_fresh() tells whether there was an answer.
  void refresh(GreetingWaiter &waiter);
  /// Whether the last query was answered.
  bool is_fresh() const { return is_fresh_; }

 private:
  void ask_at(std::int64_t due_ms);
  void ask();
  void on_answer(const Result<pg::Hello> &hello);

  ngx::Loop &loop_;
  Backends &backends_;
  std::int64_t reread_ms_;
  std::vector<std::string> keys_;
  core::CursorKeys cursor_keys_;  // the one that signs first
  wire::Verifier verifier_;
  std::string timeline_;
  std::string previous_key_;  // signs cursors until all nodes know the new one
  std::int64_t previous_until_ms_ = 0;
  bool is_fresh_ = false;
  std::int64_t asked_ms_ = 0;
  std::int64_t due_ms_ = 0;  // while the timer runs
  GreetingWaiters waiting_;  // for the next question
  GreetingWaiters asking_;   // for the answer to the question that was asked
  core::Reply<pg::Hello> reply_ = core::Reply<pg::Hello>::to<&SigningKeys::on_answer>(this);
  std::unique_ptr<io::Timer> timer_;
  std::unique_ptr<io::Timer> client_timer_;  // delays quitting: a client waits for the answer
};

}  // namespace await::http
