#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "io/log.h"
#include "io/loop.h"
#include "io/outage.h"
#include "kafka/handle.h"
#include "kafka/message.h"
#include "kafka/offsets.h"

struct rd_kafka_topic_partition_list_s;

namespace await::kafka {

/// Reads a topic as a member of a consumer group, from its committed offsets on, or from the start. An offset
/// is committed when the message and all before it in its partition are done. A message may come again: after
/// a crash, or when partitions change hands.
class Consumer : private Handle::Listener {
 public:
  class Listener {
   public:
    /// Called from the event loop. Must not stop the consumer.
    virtual void on_message(Received message) = 0;

   protected:
    ~Listener() = default;
  };

  /// @param name  for the log: "Kafka source …"
  Consumer(io::Loop &loop, io::Log &log, std::string name, Settings settings, std::string topic,
           std::string group, Listener &listener);
  ~Consumer();

  /// Joins the group. Errors: invalid, if librdkafka does not start with these settings.
  Result<Done> start();
  /// Gives the partitions back, and leaves the group. What is done is committed, if a broker answers soon.
  void stop();
  /// Whether there is nothing to wait for: it was not started, or has left the group.
  bool stopped() const { return handle_ == nullptr; }

  /// No messages until resume(), except some that are on their way. The consumer remains in the group.
  void pause();
  void resume();
  void done(const Partition &partition, std::int64_t offset);
  /// Messages of its partitions that are not done, as far as it is known.
  std::int64_t behind() const;
  /// Why it receives no messages, or commits no offsets, at present; empty: it does.
  const std::string &trouble() const {
    return trouble_.failing() ? trouble_.reason() : commit_trouble_.reason();
  }
  /// Messages that are not committed, because they, or others before them, are not done.
  std::size_t open() const { return offsets_.open(); }

 private:
  static constexpr std::int64_t kCommitMs = 100;
  static constexpr std::int64_t kRestartMs = 2'000;
  static constexpr std::int64_t kAssignMs = 10'000;
  static constexpr std::int64_t kStopMs = 3'000;

  void on_event(rd_kafka_op_s *event) override;
  void on_messages(rd_kafka_op_s *event);
  void on_rebalance(rd_kafka_op_s *event);
  void on_commit(rd_kafka_op_s *event);
  void on_error(int error, const Partition &partition, const std::string &why);
  void on_timer();
  void works(const Partition &partition);
  void assign(rd_kafka_topic_partition_list_s *list);
  void assign_again();
  void commit();
  void set_paused(bool paused);
  void close();

  io::Loop &loop_;
  io::Log &log_;
  std::string name_;
  Settings settings_;
  std::string topic_;
  std::string group_;
  Listener &listener_;
  io::Outage outage_;
  io::Outage::Part trouble_{outage_};
  std::set<Partition> failing_;    // those that cannot be read; {"", -1}: none in particular
  std::int64_t assign_at_ms_ = 0;  // when all are assigned again, if some fail
  io::Outage commit_outage_;
  io::Outage::Part commit_trouble_{commit_outage_};
  io::Outage reset_outage_;
  io::Outage::Part resets_{reset_outage_};  // never recovers: so that the log has few lines about them
  std::unique_ptr<Handle> handle_;
  std::unique_ptr<io::Timer> timer_;
  Offsets offsets_;
  bool paused_ = false;
  bool broken_ = false;          // the handle cannot be used any more
  std::int64_t stop_at_ms_ = 0;  // when stop() is given up; 0: it was not called
  std::string silence_;          // the last that was heard of the brokers
};

}  // namespace await::kafka
