#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/ports.h"
#include "io/log.h"
#include "io/loop.h"
#include "kafka/handle.h"
#include "kafka/message.h"

namespace await::kafka {

/// What is known of a message: `refused` is too large for its topic; an `unknown` one may have been written,
/// and can be sent again.
enum class Fate : std::uint8_t { unknown, written, refused };

struct Sent {
  std::vector<Fate> fates;  ///< of each message
  std::string error;        ///< why not all are written; empty if all are
};

/// Sends groups of messages. Within a partition, messages are written in their order and without a gap: after
/// a message that cannot be written, none is (librdkafka's idempotent producer with
/// enable.gapless.guarantee). So the group can be sent again from that message on, and nobody gets a key's
/// messages in another order.
///
/// While no broker can be reached, a group waits, however long that takes.
class Producer : private Handle::Listener {
 public:
  /// @param name  for the log: "Kafka sink …"
  Producer(io::Loop &loop, io::Log &log, std::string name, Settings settings);
  ~Producer();

  /// Whether librdkafka starts with these settings. To be asked before anything is sent. Errors: invalid.
  Result<Done> try_settings();
  using Make = std::function<Message(std::size_t index)>;
  /// Sends a group of messages, which are made one after the other, a few in each iteration of the event
  /// loop, so that a large group keeps nobody waiting. There is one group at a time. Errors: invalid, if
  /// librdkafka does not start with these settings.
  void send(std::size_t count, Make make, core::Reply<Sent> &reply);
  void send(std::vector<Message> messages, core::Reply<Sent> &reply);
  /// Whether there are messages of the group that were not made yet.
  bool making() const { return static_cast<bool>(make_); }
  /// Forgets what has not been sent. The reply of the group, if it waits, is not called.
  void abandon();
  /// The last that was heard of brokers that cannot be used; empty if nothing was, or messages are written.
  const std::string &trouble() const { return trouble_; }

 private:
  static constexpr std::size_t kSlice = 100;  // messages in an iteration
  // a group that is complete for the most part is not kept waiting by a broker that does not answer
  static constexpr std::int64_t kFatalMs = 2'000;
  static constexpr std::size_t kTopics = 2'000;  // librdkafka never forgets one

  class FinishTask : public io::Task {
   public:
    explicit FinishTask(Producer &producer) : producer_(producer) {}
    void run() noexcept override { producer_.finish(); }

   private:
    Producer &producer_;
  };

  void on_event(rd_kafka_op_s *event) override;
  void on_reports(rd_kafka_op_s *event);
  void on_error(rd_kafka_op_s *event);
  Result<Done> open();
  void make_some();
  void make_no_more();
  int enqueue(const Message &message, std::size_t index);
  void fail_message(std::size_t index, int error, const std::string &topic);
  void finish_soon();
  void finish();

  io::Loop &loop_;
  io::Log &log_;
  std::string name_;
  Settings settings_;
  std::unique_ptr<Handle> handle_;
  std::unique_ptr<io::Timer> timer_;
  std::unique_ptr<io::Timer> make_timer_;
  bool single_ = false;    // the handle sends each message as a batch of its own
  bool separate_ = false;  // the next one does
  bool broken_ = false;    // the handle cannot be used any more
  std::string trouble_;
  std::vector<std::size_t> topics_;  // hashes of their names, sorted

  List<core::Reply<Sent>> waiting_;
  Sent sent_;
  Make make_;             // as long as there are messages to be made
  std::size_t made_ = 0;  // messages of the group
  std::size_t left_ = 0;  // those without a report
  std::unique_ptr<Error> failure_;
  FinishTask finish_task_{*this};
};

}  // namespace await::kafka
