#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/outage.h"
#include "pg/connection.h"
#include "relay/leader.h"
#include "relay/sink.h"
#include "relay/sinks.h"
#include "relay/webhook_dispatcher.h"

namespace await::relay {

/// Stores a delivery for each event and each webhook that gets it; a dispatcher sends them.
///
/// Deliveries are those of the database: the relays of one name send them at a time (await.relay_webhooks).
/// While those of another name do, this sink takes nothing, and says so.
class WebhookSink : public Sink {
 public:
  WebhookSink(const SinkContext &context, WebhookDispatcher::Options options);

  void lead(bool leads) override;
  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  /// Each event may become many rows.
  int page_size() const override { return 200; }
  void check(core::Reply<Done> &reply) override;
  bool idle() const override { return dispatcher_.idle(); }
  bool settled() const override { return asked_ && (!sends_ || dispatcher_.settled()); }

 private:
  static constexpr std::int64_t kAgainMs = 2'000;

  void ask();
  void on_sender(const Result<Done> &outcome);
  void enqueue();
  void on_enqueued(const Result<int> &stored);
  void answer(Result<Done> outcome);

  Leader &leader_;
  pg::Connection &writes_;
  WebhookDispatcher dispatcher_;
  io::Outage outage_;
  io::Outage::Part other_{outage_};
  bool leads_ = false;
  bool asked_ = false;  // who sends is known
  bool sends_ = false;  // we do
  std::span<const RelayEvent> events_;
  List<core::Reply<Done>> waiting_;
  core::Reply<Done> sender_ = core::Reply<Done>::to<&WebhookSink::on_sender>(this);
  core::Reply<int> enqueued_ = core::Reply<int>::to<&WebhookSink::on_enqueued>(this);
  std::unique_ptr<io::Timer> ask_timer_;
};

/// The sink of `--sink webhooks[,option=value…]`, with the options of docs/webhooks.md.
Result<std::unique_ptr<Sink>> make_webhooks(const SinkSpec &spec, const SinkContext &context);

}  // namespace await::relay
