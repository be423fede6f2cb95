#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backoff.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "kafka/consumer.h"
#include "kafka/lookup.h"
#include "kafka/producer.h"
#include "pg/connection.h"
#include "redis/bus.h"
#include "relay/bad_messages.h"
#include "relay/intake_progress.h"
#include "wire/job_message.h"

namespace await::relay {

/// Submits each message of a topic of Kafka as a job (docs/kafka.md), while the relay leads. An offset is
/// committed after the job; a message that comes again is the same job, by its key. What is no valid job goes
/// to another topic, with the reason. While PostgreSQL is away, no messages are fetched.
class KafkaSource : private kafka::Consumer::Listener, private IntakeProgress::Source {
 public:
  struct Settings {
    kafka::Settings kafka;
    std::string topic;
    std::string queue;
    std::string group;
    std::string name;         ///< in the status; the topic, if none is given
    std::string dead_letter;  ///< topic; empty: what is no valid job is only logged
    wire::JobMessageRules rules;
  };
  /// @param value  the brokers
  /// Errors: invalid.
  static Result<Settings> parse(const std::string &value, const std::map<std::string, std::string> &options);

  /// @param bus  to wake idle workers; null: no Redis
  KafkaSource(io::Loop &loop, io::Log &log, io::Random &random, pg::Connection &connection, Cursors &cursors,
              redis::Bus *bus, Settings settings);
  ~KafkaSource();

  void lead(bool leads);
  /// After lead(false): whether it has left its group.
  bool idle() const { return !leads_ && consumer_.stopped() && !reply_.waiting() && progress_.idle(); }
  const Settings &settings() const { return settings_; }
  /// What is missing of Kafka, with the remedy; `Done` if nothing is.
  void check(core::Reply<Done> &reply);

 private:
  static constexpr std::size_t kBatch = 500;  // jobs in a statement
  static constexpr std::size_t kBatchBytes = 4 << 20;
  static constexpr std::size_t kMost = 20'000;  // messages in memory
  static constexpr std::size_t kMostBytes = 32 << 20;
  static constexpr std::size_t kMostOpen = 100'000;  // offsets behind one that is not done
  static constexpr std::size_t kLetters = 100;       // in a group
  static constexpr int kMostCuts = 2;

  struct Item {
    kafka::Received message;
    wire::JobMessage job;
    std::string reason;    ///< of a message that is no valid job; empty: it is one
    int cut = 0;           ///< of its letter: 1: the value is left out; 2: key and headers as well
    std::size_t size = 0;  ///< in bytes, as it is counted in bytes_
  };

  void on_message(kafka::Received message) override;
  std::int64_t behind() const override { return consumer_.behind(); }
  std::string trouble() const override {
    for (const std::string *reason : {&submit_trouble_.reason(), &consumer_.trouble()}) {
      if (!reason->empty())
        return *reason;
    }
    return letter_trouble_.reason();
  }
  void start();
  void on_names(const Result<Done> &outcome);
  void submit();
  void on_submitted(const Result<Done> &outcome);
  void pass(std::size_t count, const std::string &reason);
  void refuse(Item item);
  void send_letters();
  kafka::Message letter_of(const Item &item) const;
  void on_letters(Result<kafka::Sent> outcome);
  void done(const Item &item);
  void regulate();

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  pg::Connection &connection_;
  redis::Bus *bus_;
  Settings settings_;
  const std::string name_;
  kafka::Consumer consumer_;
  kafka::Producer producer_;
  kafka::Lookup lookup_;
  io::Outage submit_outage_;
  io::Outage::Part submit_trouble_{submit_outage_};
  io::Outage letter_outage_;
  io::Outage::Part letter_trouble_{letter_outage_};

  IntakeProgress progress_;
  BadMessages bad_messages_;
  bool leads_ = false;
  bool has_names_ = false;     // the names of the brokers were looked up
  std::deque<Item> waiting_;   // also those that are no valid jobs, so that dead letters are in their order
  std::size_t in_flight_ = 0;  // of the first of them, those that the statement is about
  std::size_t jobs_ = 0;       // of these, those in it
  std::size_t limit_ = kBatch;
  std::deque<Item> letters_;
  std::size_t bytes_ = 0;  // of both
  core::Backoff backoff_{100, 5'000};
  core::Backoff letter_backoff_{500, 10'000};
  core::Reply<Done> names_reply_ = core::Reply<Done>::to<&KafkaSource::on_names>(this);
  core::Reply<Done> reply_ = core::Reply<Done>::to<&KafkaSource::on_submitted>(this);
  core::Reply<kafka::Sent> letters_reply_ = core::Reply<kafka::Sent>::to<&KafkaSource::on_letters>(this);
  std::unique_ptr<io::Timer> submit_timer_;
  std::unique_ptr<io::Timer> letter_timer_;
  std::unique_ptr<io::Timer> start_timer_;
};

}  // namespace await::relay
