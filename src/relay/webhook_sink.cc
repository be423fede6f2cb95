#include "relay/webhook_sink.h"

#include <unistd.h>

#include <memory>
#include <optional>

#include "base/text.h"
#include "base/version.h"
#include "cli/program.h"
#include "pg/call.h"
#include "pg/statements.h"

namespace await::relay {
namespace {

Result<int> decode_count(const pg::Rows &rows, std::size_t) {
  return rows.count() == 1 ? static_cast<int>(rows.number(0, 0)) : 0;
}

/// Errors: conflict: the relays of another name send webhooks.
Result<Done> decode_sender(const pg::Rows &rows, std::size_t) {
  if (rows.count() == 0)
    return Done{};
  return Error{Code::conflict, "the relays \"" + rows.text(0, 0) + "\" send them (" + rows.text(0, 1) +
                                   "), and deliveries are never those of two names: give all relays with "
                                   "this sink the same --name, or end those"};
}

Error bad_value(std::string_view name, std::string_view rule) {
  return {Code::invalid, "the option " + std::string(name) + " of the sink webhooks is " + std::string(rule)};
}

Result<Done> allow_networks(std::string_view value, curl::AddressGuard &guard) {
  while (!value.empty()) {
    if (auto allowed = guard.allow(trim(cut(value, ','))); !allowed)
      return bad_value("allow-network", "networks such as 10.1.0.0/16: " + allowed.error().detail);
  }
  return Done{};
}

Result<Done> set_number(std::string_view name, std::string_view value, int &out) {
  auto number = parse_number(value, 10'000);
  if (number.value_or(0) == 0)
    return bad_value(name, "a number from 1 to 10000");
  out = static_cast<int>(*number);
  return Done{};
}

Result<Done> set_option(const std::string &name, const std::string &value, WebhookDispatcher::Options &out) {
  if (name == "allow-network")
    return allow_networks(value, out.client.guard);
  if (name == "allow-http") {
    out.allow_http = value == "on";
    return value == "on" || value == "off" ? Result<Done>(Done{}) : bad_value(name, "on or off");
  }
  if (name == "ca-file") {
    out.client.ca_file = value;
    return ::access(value.c_str(), R_OK) != 0 ? bad_value(name, "a file of certificates that can be read")
                                              : Result<Done>(Done{});
  }
  if (name == "first-delay" || name == "timeout") {
    auto ms = cli::parse_time(value);
    (name == "timeout" ? out.timeout_ms : out.first_delay_ms) = ms.value_or(0);
    return ms.value_or(0) > 0 ? Result<Done>(Done{}) : bad_value(name, "a time such as 5s");
  }
  if (name == "at-once")
    return set_number(name, value, out.hosts.at_once);
  if (name == "a-second")
    return set_number(name, value, out.hosts.a_second);
  if (name == "all-at-once")
    return set_number(name, value, out.hosts.all_at_once);
  return Error{Code::invalid, "the sink webhooks has no option \"" + name + "\""};
}

}  // namespace

WebhookSink::WebhookSink(const SinkContext &context, WebhookDispatcher::Options options)
    : leader_(context.leader),
      writes_(context.writes),
      dispatcher_(context.loop, context.log, context.random, context.reads, context.writes,
                  std::move(options)),
      outage_(context.loop, context.log),
      ask_timer_(context.loop.timer([this] { ask(); }, io::Loop::Quit::may)) {}

void WebhookSink::lead(bool leads) {
  leads_ = leads;
  if (leads) {
    if (!sends_)  // or only a cursor was removed
      ask();
    return;
  }
  dispatcher_.lead(false);
  asked_ = sends_ = false;
  ask_timer_->clear();
  if (sender_.waiting())
    sender_.unlink();
  if (!enqueued_.waiting())
    answer(Error{Code::unavailable, "not known yet who sends webhooks"});
}

/// Takes the webhooks, unless others have them.
void WebhookSink::ask() {
  if (!leads_ || !leader_.leads() || sender_.waiting())
    return;
  pg::Params params;
  params.text(leader_.relay()).int8(leader_.token());
  writes_.send(std::make_unique<pg::Call<Done>>(pg::statements::kRelayWebhooks, std::move(params), sender_,
                                                decode_sender));
}

void WebhookSink::on_sender(const Result<Done> &outcome) {
  bool taken = !outcome && outcome.error().code == Code::conflict;
  asked_ = asked_ || static_cast<bool>(outcome) || taken;
  sends_ = static_cast<bool>(outcome);
  if (!sends_) {
    if (taken)
      other_.fail("webhooks: " + outcome.error().detail);
    ask_timer_->set(kAgainMs);
    answer(outcome.error());
    return;
  }
  other_.recover("webhooks: these relays send them now");
  dispatcher_.lead(true);
  if (!waiting_.empty())
    enqueue();
}

void WebhookSink::deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) {
  events_ = events;
  waiting_.push_back(reply);
  if (sends_)
    enqueue();
  else
    ask();
}

void WebhookSink::enqueue() {
  pg::ArrayWriter jobs(pg::kUuid), seqs(pg::kInt4), types(pg::kText);
  for (const RelayEvent &event : events_) {
    jobs.uuid(event.job);
    seqs.int4(event.seq);
    types.bytes(event.type);
  }
  pg::Params params;
  params.array(pg::kUuidArray, std::move(jobs))
      .array(pg::kInt4Array, std::move(seqs))
      .array(pg::kTextArray, std::move(types));
  writes_.send(std::make_unique<pg::Call<int>>(pg::statements::kEnqueueDeliveries, std::move(params),
                                               enqueued_, decode_count));
}

void WebhookSink::on_enqueued(const Result<int> &stored) {
  if (stored && *stored > 0)
    dispatcher_.wake();
  answer(stored ? Result<Done>(Done{}) : Result<Done>(stored.error()));
}

void WebhookSink::answer(Result<Done> outcome) {
  if (core::Reply<Done> *reply = waiting_.pop_front())
    reply->deliver(std::move(outcome));
}

void WebhookSink::check(core::Reply<Done> &reply) {
  pg::Params params;
  params.text(leader_.relay()).null(pg::kInt8);
  writes_.send(std::make_unique<pg::Call<Done>>(pg::statements::kRelayWebhooks, std::move(params), reply,
                                                decode_sender));
}

Result<std::unique_ptr<Sink>> make_webhooks(const SinkSpec &spec, const SinkContext &context) {
  if (!spec.value.empty())
    return Error{Code::invalid,
                 "the sink webhooks takes no value: URLs are registered by \"await-ctl webhooks\""};
  WebhookDispatcher::Options options;
  options.client.agent = "nginx-await/" + std::string(kVersion);
  for (const auto &[name, value] : spec.options) {
    if (auto set = set_option(name, value, options); !set)
      return set.error();
  }
  return Result<std::unique_ptr<Sink>>(std::make_unique<WebhookSink>(context, std::move(options)));
}

}  // namespace await::relay
