#pragma once

#include <memory>
#include <optional>

#include "core/upload.h"
#include "core/watcher.h"
#include "sim/service.h"

namespace await::sim {

/// Polls and held requests for the document of a job or a batch, through any number of nodes.
class HoldClient {
 public:
  HoldClient(Service &service, const Uuid &job);
  ~HoldClient();
  HoldClient(const HoldClient &) = delete;
  HoldClient &operator=(const HoldClient &) = delete;

  void start() { connect(); }
  bool done() const { return done_; }
  const Uuid &job() const { return job_; }
  /// The node goes down, or the client leaves: with it everything between them.
  void disconnect();
  Node *node() const;
  /// Since when the request is there.
  std::int64_t began() const { return began_; }
  /// Whether it is owed the ending for too long.
  void check_wait();
  /// What it has seen may be of a history that never was.
  void failed_over() { seen_ = 0, told_ = Told(); }

 private:
  struct Request;
  void connect();
  void answered(const core::Job *job);
  void answered_batch(const core::Batch &batch, const std::vector<core::Job> &jobs);

  Service &service_;
  Uuid job_;
  std::unique_ptr<Request> request_;
  bool done_ = false;
  int seen_ = 0;
  Told told_;  // of a batch
  std::int64_t began_ = 0;
  std::int64_t owed_since_ = 0;
  Comeback comeback_{service_, [this] { connect(); }};
};

/// Submits one job, held until it has ended if `wait`; may leave before the answer.
class Submitter {
 public:
  Submitter(Service &service, Node &node, const Uuid &id, bool poison, bool wait, bool large);
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
  void on_upload(Result<Done> stored);
  void stored(Result<core::Submitted> outcome);
  void got(Result<const core::Job *> job);

  Service &service_;
  Node *node_;
  bool poison_;
  bool done_ = false;
  bool accepted_ = false;
  std::int64_t began_;
  core::Submission submission_{core::Callback<Result<core::Submitted>>::to<&Submitter::stored>(this)};
  std::unique_ptr<core::Upload> upload_;  // of a large payload
  std::optional<core::Watcher<core::JobRead>> watcher_;
};

}  // namespace await::sim
