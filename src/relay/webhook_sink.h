#pragma once

#include "pg/connection.h"
#include "relay/sink.h"
#include "relay/sinks.h"
#include "relay/webhook_dispatcher.h"

namespace await::relay {

/// Stores a delivery for each event and each webhook that gets it; a dispatcher sends them.
class WebhookSink : public Sink {
 public:
  WebhookSink(io::Loop &loop, io::Log &log, io::Random &random, pg::Connection &reads, pg::Connection &writes,
              WebhookDispatcher::Options options)
      : writes_(writes), dispatcher_(loop, log, random, reads, writes, std::move(options)) {}

  void lead(bool leads) override { dispatcher_.lead(leads); }
  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  /// Each event may become many rows.
  int page_size() const override { return 200; }
  void check(core::Reply<Done> &reply) override;
  bool idle() const override { return dispatcher_.idle(); }
  bool settled() const override { return dispatcher_.settled(); }

 private:
  void on_enqueued(Result<int> stored);

  pg::Connection &writes_;
  WebhookDispatcher dispatcher_;
  List<core::Reply<Done>> waiting_;
  core::Reply<int> enqueued_ = core::Reply<int>::to<&WebhookSink::on_enqueued>(this);
};

/// The sink of `--sink webhooks[,option=value…]`, with the options of docs/webhooks.md.
Result<std::unique_ptr<Sink>> make_webhooks(const SinkSpec &spec, const SinkContext &context);

}  // namespace await::relay
