#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/loop.h"

// of librdkafka, whose header stays in this room
struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_queue_s;
struct rd_kafka_op_s;

namespace await::kafka {

using Properties = std::vector<std::pair<std::string, std::string>>;

/// How a cluster is reached.
struct Settings {
  std::string brokers;    ///< host:port, separated by commas
  Properties properties;  ///< of librdkafka, as its CONFIGURATION.md has them; the later of two counts
};

enum class Kind : std::uint8_t { producer, consumer };

/// Whether librdkafka takes each of these properties. Errors, with the name of the property: not_found: there
/// is no such one; invalid: its value.
Result<Done> check(const Settings &settings);

/// An instance of librdkafka. It has threads of its own, which never call us: what they have to tell waits in
/// a queue, which is read from the event loop.
class Handle {
 public:
  class Listener {
   public:
    /// Called from the event loop. Must not destroy the handle, to which the event belongs.
    virtual void on_event(rd_kafka_op_s *event) = 0;

   protected:
    ~Listener() = default;
  };

  /// @param fixed  properties that go before those of the settings
  /// Errors: invalid, if properties contradict one another; internal, if there is no descriptor.
  static Result<std::unique_ptr<Handle>> open(io::Loop &loop, Kind kind, const Settings &settings,
                                              const Properties &fixed, Listener &listener);
  /// Drops what has not been sent. The threads are ended by a thread, because that may take as long as a
  /// look-up of a name.
  ~Handle();

  rd_kafka_s *get() const { return kafka_; }
  rd_kafka_queue_s *queue() const { return queue_; }
  /// Reads the queue, which is done whenever it has something. A consumer that nobody asks for five minutes
  /// (max.poll.interval.ms) is put out of its group, even if its queue is empty.
  void poll() { on_readable(); }

 private:
  static constexpr int kEvents = 200;  // in an iteration of the event loop

  Handle(io::Loop &loop, rd_kafka_s *kafka, rd_kafka_queue_s *queue, int fd, Listener &listener);
  void on_readable();

  rd_kafka_s *kafka_;
  rd_kafka_queue_s *queue_;
  int fd_;  // becomes readable when the queue is no longer empty
  Listener &listener_;
  std::unique_ptr<io::FdWatcher> watch_;
};

/// A thread of ours has begun (1) or will touch librdkafka no more (-1).
void count_thread(int change);

/// Waits until the threads of all handles have ended, because what they use must not be taken down before.
/// Returns false if the time is over: then leave the process without running its destructors. Blocks.
bool wait_closed(int ms);

}  // namespace await::kafka
