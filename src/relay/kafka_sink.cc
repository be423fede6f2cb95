#include "relay/kafka_sink.h"

#include <algorithm>
#include <utility>

#include "cli/program.h"
#include "relay/kafka_options.h"
#include "wire/cloud_event.h"
#include "wire/relay_document.h"

namespace await::relay {
namespace {

Error invalid(std::string why) { return {Code::invalid, std::move(why)}; }

std::pair<Uuid, int> id_of(const RelayEvent &event) { return {event.job, event.seq}; }

/// Whose events stay in their order: those of a job, a batch or a topic.
std::string key_of(const RelayEvent &event) { return event.topic ? *event.topic : event.job.text(); }

}  // namespace

Result<KafkaSink::Settings> KafkaSink::parse(const std::string &value,
                                             const std::map<std::string, std::string> &options) {
  auto read =
      read_kafka_options(value, options, {"topic", "thin", "patience", "cloudevents", "source", "type"});
  if (!read)
    return read.error();
  Settings out;
  out.kafka = read->settings;
  if (!read->own.contains("topic"))
    return invalid("the option topic is missing: kafka=HOST:9092,topic=judge.{type}");
  auto topic = wire::TopicPattern::parse(read->get("topic"));
  if (!topic)
    return topic.error();
  out.topic = *topic;
  std::string thin = read->get("thin", "off");
  if (thin != "on" && thin != "off")
    return invalid("the option thin is on or off");
  out.thin = thin == "on";
  auto patience = cli::parse_time(read->get("patience", "10s"));
  if (!patience || *patience < 100)
    return invalid("the option patience is a time such as 10s, 100ms at least");
  out.patience_ms = *patience;
  std::string mode = read->get("cloudevents");
  if (read->own.contains("cloudevents") && mode != "binary" && mode != "structured")
    return invalid("the option cloudevents is binary or structured");
  out.envelope = mode == "binary" ? Envelope::binary : mode.empty() ? Envelope::none : Envelope::structured;
  if (mode.empty() && (read->own.contains("source") || read->own.contains("type")))
    return invalid("the options source and type are for cloudevents=binary and cloudevents=structured");
  out.source = read->get("source", "/await");
  if (out.source.empty() || out.source.find_first_of(" \t\"<>") != std::string::npos)
    return invalid("the option source is a URI reference, such as //example.com/await");
  if (read->own.contains("type")) {
    auto type = wire::TopicPattern::parse(read->get("type"));
    if (!type)
      return invalid("the option type: " + type.error().detail);
    out.event_type = *type;
  }
  return out;
}

KafkaSink::KafkaSink(io::Loop &loop, io::Log &log, Settings settings)
    : log_(log),
      settings_(std::move(settings)),
      producer_(loop, log, "Kafka sink", settings_.kafka),
      lookup_(loop),
      topics_lookup_(loop),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

void KafkaSink::lead(bool leads) {
  leads_ = leads;
  if (leads) {
    if (!std::exchange(has_names_, true))
      lookup_.find_names(settings_.kafka, names_reply_);
    return;
  }
  if (!waiting_.empty()) {
    timer_->set(kGraceMs);
  } else {
    producer_.abandon();  // a page whose reply was an error
    written_.clear();
    failure_.clear();
  }
}

void KafkaSink::deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) {
  events_ = events;
  waiting_.push_back(reply);
  Page page{events.size(), events.empty() ? Id() : id_of(events.front()),
            events.empty() ? Id() : id_of(events.back())};
  if (std::exchange(page_, page) != page) {  // as after a change of the leader, or when the cursor was set
    producer_.abandon();
    written_.clear();
    too_large_.clear();
    failure_.clear();
  }
  timer_->set(failure_.empty() ? settings_.patience_ms / 2 : 0);
  asked_ = false;
  if (!failure_.empty())
    return;
  if (!sent_reply_.waiting())  // or it is still on its way: librdkafka goes on for as long as it takes
    send();
}

void KafkaSink::send() {
  std::vector<const RelayEvent *> unwritten;
  unwritten.reserve(events_.size());
  sending_.clear();
  for (const RelayEvent &event : events_) {
    if (!written_.empty() && written_.contains(id_of(event)))
      continue;
    sending_.push_back(id_of(event));
    unwritten.push_back(&event);
  }
  std::size_t count = unwritten.size();
  auto make = [this, events = std::move(unwritten)](std::size_t index) { return message_of(*events[index]); };
  producer_.send(count, std::move(make), sent_reply_);
}

kafka::Message KafkaSink::message_of(const RelayEvent &event) const {
  bool cut = !too_large_.empty() && too_large_.contains(id_of(event));
  kafka::Message out;
  out.topic = settings_.topic.name(event.type, event.queue);
  out.key = key_of(event);
  std::string document = wire::encode_relay_event(event, settings_.thin || cut);
  if (settings_.envelope == Envelope::none) {
    out.headers = {
        {"content-type", "application/json"}, {"event-id", event.id()}, {"event-type", event.type}};
    if (event.correlation_id)
      out.headers.emplace_back("correlation-id", event.correlation_id);
    if (event.trace)
      out.headers.emplace_back("traceparent", event.trace);
    out.value = std::move(document);
  } else {
    wire::CloudEvent cloud;
    cloud.id = event.id();
    cloud.source = settings_.source;
    cloud.type = settings_.event_type ? settings_.event_type->name(event.type, event.queue) : event.type;
    cloud.subject = *out.key;
    cloud.at_ms = event.at_ms;
    cloud.traceparent = event.trace;
    cloud.correlation_id = event.correlation_id;
    cloud.partition_key = *out.key;
    cloud.data = std::move(document);
    if (settings_.envelope == Envelope::binary) {
      out.headers = wire::binary_event(cloud);
      out.value = std::move(cloud.data);
    } else {
      out.headers = {{"content-type", std::string(wire::kCloudEventType)}};
      out.value = wire::structured_event(cloud);
    }
  }
  if (cut)
    out.headers.emplace_back("omitted", "data");
  return out;
}

void KafkaSink::on_sent(Result<kafka::Sent> outcome) {
  if (!outcome) {
    answer(outcome.error());
    return;
  }
  bool whole = outcome->error.empty() && !waiting_.empty();  // then nothing need be known of single messages
  bool shrunk = false;
  for (std::size_t i = 0; !whole && i < sending_.size() && i < outcome->fates.size(); ++i) {
    if (outcome->fates[i] == kafka::Fate::written)
      written_.insert(sending_[i]);
    else if (outcome->fates[i] == kafka::Fate::refused)
      shrunk = too_large_.insert(sending_[i]).second || shrunk;
  }
  if (outcome->error.empty()) {
    sending_.clear();
    if (waiting_.empty())
      return;  // the page is offered again, and what was written is known
    written_.clear();
    too_large_.clear();
    answer(Done{});
  } else if (shrunk && !waiting_.empty()) {
    send();
  } else {
    failure_ = waiting_.empty() ? outcome->error : "";
    answer(Error{Code::unavailable, outcome->error});
  }
}

/// The page takes long, or the lead is lost.
void KafkaSink::on_timer() {
  if (!failure_.empty()) {
    answer(Error{Code::unavailable, std::exchange(failure_, "")});
    return;
  }
  if (leads_ && !std::exchange(asked_, true)) {
    ask_topics();
    timer_->set(settings_.patience_ms / 2);
    return;
  }
  std::string why = producer_.trouble().empty() ? found_ : producer_.trouble();
  if (why.empty())
    why = "no reason is known; see whether its partitions have leaders, and min.insync.replicas in sync";
  if (!leads_ || producer_.making()) {  // events exist until the answer
    producer_.abandon();
    written_.clear();
  }
  answer(Error{Code::timeout, "no broker confirms messages: " + why});
}

/// librdkafka waits without a word for a topic that may not be read, or a partition without a leader.
void KafkaSink::ask_topics() {
  found_.clear();
  if (!producer_.trouble().empty() || topics_reply_.waiting())
    return;
  std::set<std::string> topics;
  for (std::size_t i = 0; i < events_.size() && topics.size() < kMostTopics; ++i)
    topics.insert(settings_.topic.name(events_[i].type, events_[i].queue));
  topics_lookup_.ask(settings_.kafka, {topics.begin(), topics.end()}, topics_reply_);
}

void KafkaSink::answer(Result<Done> outcome) {
  timer_->clear();
  if (core::Reply<Done> *reply = waiting_.pop_front())
    reply->deliver(std::move(outcome));
}

void KafkaSink::on_names(const Result<Done> &outcome) {
  if (!outcome)
    log_.error("Kafka sink: " + outcome.error().detail);
}

void KafkaSink::check(core::Reply<Done> &reply) {
  if (auto good = producer_.try_settings(); !good) {  // the look-up is none of a producer
    reply.deliver(good.error());
    return;
  }
  std::vector<std::string> topics;
  if (settings_.topic.is_fixed())
    topics.push_back(settings_.topic.name("", ""));
  lookup_.ask(settings_.kafka, topics, reply);
}

}  // namespace await::relay
