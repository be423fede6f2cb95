#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/cursor.h"
#include "core/place.h"
#include "core/watcher.h"
#include "sim/node.h"

namespace await::sim {

/// All that clients see of the service, and what was promised to them.
struct Service {
  World &world;
  Weather &weather;
  Database &database;
  std::vector<std::unique_ptr<Node>> nodes;
  std::int64_t bound_ms = 0;  ///< within which whoever watches must know
  std::vector<Uuid> accepted;
  bool closing = false;  ///< no client comes back any more
  std::uint64_t delivered = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t resets = 0;
  std::uint64_t answers = 0;

  /// A node that is up, by chance; null if none is.
  Node *some_node();
};

/// A client that follows one job through any number of connections to any node. What it has been given
/// is compared with the truth, event by event.
class Client {
 public:
  Client(Service &service, const Uuid &job) : service_(service), job_(job) {}
  virtual ~Client() = default;

  void start() { connect(); }
  bool done() const { return done_; }
  const Uuid &job() const { return job_; }
  /// The node goes down, or the client leaves: with it everything between them.
  virtual void disconnect() = 0;
  virtual Node *node() const = 0;
  /// Whether it is owed an event, for too long.
  void check_wait();
  /// A failover: what it holds may be of a history that never was.
  virtual void failed_over() {}

 protected:
  virtual void connect() = 0;
  /// What the client knows of the job, as a seq.
  virtual int knows() const = 0;
  virtual bool ready_to_hear() const { return node() != nullptr; }
  /// Comes back after a while.
  void come_back(std::int64_t least_ms, std::int64_t most_ms);

  Service &service_;
  Uuid job_;
  bool done_ = false;
  std::deque<std::pair<int, std::int64_t>>
      owed_;  // events it does not know yet, and since when they are there
  bool coming_back_ = false;
  int knew_ = 0;  // when it was last looked at
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  struct Death {
    std::shared_ptr<bool> alive;
    ~Death() { *alive = false; }
  } death_{alive_};
};

/// An event stream, or one JSON page after another (`pages`): the reader of events.
class EventClient : public Client {
 public:
  EventClient(Service &service, const Uuid &job, bool pages);
  ~EventClient() override;
  void disconnect() override;
  Node *node() const override;
  void failed_over() override;

 private:
  struct Stream;
  struct Message {
    std::string cursor;
    int seq;  // 0: no event, only the cursor
    std::uint64_t uid;
    bool reset;
    bool last;
    std::uint32_t timeline = 0;  // of the history it was read from
  };
  void connect() override;
  int knows() const override { return next_ - 1; }
  bool ready_to_hear() const override;
  void hear(const Message &message);
  void check(const Message &message);

  bool pages_;
  std::unique_ptr<Stream> stream_;
  std::string cursor_;
  int next_ = 1;
  std::vector<std::pair<int, std::uint64_t>> held_;  // since the last reset
  bool must_be_reset_ = false;                       // it holds what a failover has undone
  bool forged_ = false;                              // it made its cursor up
};

/// Polls and held requests for the job's document.
class HoldClient : public Client {
 public:
  HoldClient(Service &service, const Uuid &job);
  ~HoldClient() override;
  void disconnect() override;
  Node *node() const override;
  void failed_over() override { seen_ = 0; }

 private:
  struct Request;
  void connect() override;
  int knows() const override { return seen_; }
  bool ready_to_hear() const override;
  void answered(const core::Job *job);

  std::unique_ptr<Request> request_;
  int seen_ = 0;
};

/// Submits one job, held until it has ended if `wait`; may leave before the answer.
class Submitter {
 public:
  Submitter(Service &service, Node &node, const Uuid &id, bool poison, bool wait);
  ~Submitter();
  bool done() const { return done_; }
  bool waits() const { return watcher_.has_value(); }
  Node *node() const { return node_; }
  const Uuid &id() const { return submission_.job.id; }
  /// The node has gone, or the client has.
  void leave();
  /// Its job may be among what was lost, which no promise covers.
  void failed_over() {
    if (accepted_ && !service_.database.has(id()))
      leave();
  }
  void check_wait();

 private:
  void stored(Result<core::Submitted> outcome);
  void got(Result<const core::Job *> job);

  Service &service_;
  Node *node_;
  bool poison_;
  bool done_ = false;
  bool accepted_ = false;
  std::int64_t began_;
  core::Submission submission_{core::Callback<Result<core::Submitted>>::to<&Submitter::stored>(this)};
  std::optional<core::Watcher<core::JobNeed>> watcher_;
};

}  // namespace await::sim
