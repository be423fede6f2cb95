#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "io/log.h"
#include "io/loop.h"
#include "kafka/lookup.h"
#include "kafka/producer.h"
#include "relay/sink.h"
#include "wire/topic_pattern.h"

namespace await::relay {

/// Writes each event as a message to a topic of Kafka (docs/kafka.md). The key is the id of the job, so that
/// a job's events are in one partition, in their order. An event is delivered when all in-sync replicas have
/// it.
class KafkaSink : public Sink {
 public:
  enum class Envelope : std::uint8_t { none, binary, structured };  ///< of CloudEvents
  struct Settings {
    kafka::Settings kafka;
    wire::TopicPattern topic;
    bool thin = false;
    std::int64_t patience_ms = 10'000;  ///< of a page that no broker confirms, before it is said
    Envelope envelope = Envelope::none;
    std::string source;                            ///< of CloudEvents
    std::optional<wire::TopicPattern> event_type;  ///< of CloudEvents; none: the type as it is
  };
  /// @param value  the brokers
  /// Errors: invalid.
  static Result<Settings> parse(const std::string &value, const std::map<std::string, std::string> &options);

  KafkaSink(io::Loop &loop, io::Log &log, Settings settings);

  void lead(bool leads) override;
  void drain() override {}  // a page that is on its way may be confirmed
  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  /// Few at a time: other sinks wait while a page is decoded. Brokers confirm many as fast as few.
  int page_size() const override { return 250; }
  int group_size() const override { return 2'000; }
  void check(core::Reply<Done> &reply) override;

 private:
  static constexpr std::int64_t kGraceMs = 500;  // of a page, when the lead is lost
  static constexpr std::size_t kMostTopics = 20;
  using Id = std::pair<Uuid, int>;
  using Page = std::tuple<std::size_t, Id, Id>;  ///< how many events, the first and the last

  void send();
  kafka::Message message_of(const RelayEvent &event) const;
  void on_sent(Result<kafka::Sent> outcome);
  void on_names(const Result<Done> &outcome);
  void on_timer();
  void ask_topics();
  void on_topics(const Result<Done> &outcome) { found_ = outcome ? "" : outcome.error().detail; }
  void answer(Result<Done> outcome);

  io::Log &log_;
  Settings settings_;
  kafka::Producer producer_;
  kafka::Lookup lookup_;
  kafka::Lookup topics_lookup_;
  std::span<const RelayEvent> events_;
  Page page_;                // that was offered last
  std::vector<Id> sending_;  // of the group that the producer has
  std::set<Id> written_;     // of a page that is not written as a whole
  std::set<Id> too_large_;   // sent without their data
  std::string failure_;      // of a group that ended when nobody waited for it
  bool asked_ = false;       // why brokers leave the page unconfirmed
  std::string found_;        // what is wrong with its topics
  bool leads_ = true;
  bool has_names_ = false;  // the names of the brokers were looked up
  List<core::Reply<Done>> waiting_;
  core::Reply<kafka::Sent> sent_reply_ = core::Reply<kafka::Sent>::to<&KafkaSink::on_sent>(this);
  core::Reply<Done> names_reply_ = core::Reply<Done>::to<&KafkaSink::on_names>(this);
  core::Reply<Done> topics_reply_ = core::Reply<Done>::to<&KafkaSink::on_topics>(this);
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::relay
