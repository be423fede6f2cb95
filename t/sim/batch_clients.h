#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/batch_intake.h"
#include "core/list_read.h"
#include "core/upload.h"
#include "sim/service.h"

namespace await::sim {

/// Submits a batch, whose jobs arrive one after another; may leave at any moment. The server's side is as in
/// http/live/batch_submission.cc.
class BatchSubmitter : public core::IdSource {
 public:
  /// @param jobs  how many
  /// @param poison  one of them is refused by the database
  BatchSubmitter(Service &service, Node &node, core::NewBatch head, int jobs, bool poison);
  ~BatchSubmitter() { *alive_ = false; }
  BatchSubmitter(const BatchSubmitter &) = delete;
  BatchSubmitter &operator=(const BatchSubmitter &) = delete;

  bool done() const { return node_ == nullptr; }
  Node *node() const { return node_; }
  void leave();
  void check_wait();

 private:
  Uuid new_id(unsigned retention, std::int64_t least_ms) override;
  bool is_busy() const { return intake_->full() || upload_ != nullptr; }
  void come();
  void come_later();
  void add_job();
  void add_large(core::NewJob job);
  void large_stored();
  void on_upload(Result<Done> stored);
  void on_staged(Result<Done> stored);
  void go_on();
  void on_submitted(Result<core::Submitted> outcome);
  void check_refused(const Error &error);
  void check_replayed(const core::Submitted &first);
  void check_stored();
  std::string name() const { return "batch " + head_.id.text().substr(24); }

  Service &service_;
  Node *node_;
  core::NewBatch head_;
  int jobs_;
  int bad_job_;  // its place; -1: none
  int come_ = 0;
  bool stalled_ = false;
  bool submitting_ = false;
  std::int64_t stepped_;
  core::NewJob large_;
  std::vector<Uuid> uploads_;  // the jobs whose payloads are in chunks
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<core::BatchIntake> intake_;
  std::unique_ptr<core::Upload> upload_;
};

/// Adds a job to a batch through a node, as http/modules/submit.cc does.
class BatchAdder {
 public:
  BatchAdder(Service &service, Node &node, const Uuid &batch, core::NewJob job, bool fits);
  bool done() const { return !reply_.waiting(); }
  Node *node() const { return node_; }

 private:
  void added(Result<core::Added> outcome);

  Service &service_;
  Node *node_;
  Uuid batch_;
  core::NewJob job_;
  bool fits_;
  core::Reply<core::Added> reply_ = core::Reply<core::Added>::to<&BatchAdder::added>(this);
};

/// Cancels a batch, or a job of one.
class Canceller {
 public:
  Canceller(Service &service, Node &node, const Uuid &id);
  bool done() const { return !reply_.waiting(); }
  Node *node() const { return node_; }

 private:
  void cancelled(Result<core::Cancelled> outcome);

  Service &service_;
  Node *node_;
  Uuid id_;
  core::Reply<core::Cancelled> reply_ = core::Reply<core::Cancelled>::to<&Canceller::cancelled>(this);
};

/// Reads a list of a user's jobs or batches to its end, page by page from any nodes: each that was there all
/// the time comes once, the newest first.
class Lister {
 public:
  virtual ~Lister() = default;
  virtual bool done() const = 0;
  virtual Node *node() const = 0;
  /// The node goes down: asks another one.
  virtual void disconnect() = 0;
  virtual void check_wait() = 0;
  static std::unique_ptr<Lister> of_jobs(Service &service, core::ListQuery query);
  static std::unique_ptr<Lister> of_batches(Service &service, core::ListQuery query);
};

}  // namespace await::sim
