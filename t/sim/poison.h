#pragma once

#include <memory>

#include "core/read_batcher.h"
#include "core/ticket_batcher.h"
#include "sim/service.h"

namespace await::sim {

/// Whose values the database refuses, wherever they stand.
inline constexpr std::string_view kPoison = "poison";
inline Uuid poison_id() {
  Uuid::Raw raw{};
  raw[6] = 0x70, raw[8] = 0x80, raw[15] = 0xbd;
  return Uuid(raw);
}

/// A client that asks for a job, for events, for a user's and for admission, again and again, each with a
/// value that the database refuses; others' share the statements. Only this client gets the error.
class Poisoner {
 public:
  explicit Poisoner(Service &service) : service_(service) {
    since_.owner = kPoison;
    since_.seen.text = "1:1:";
    job_.id = events_.id = users_.id = poison_id();
    users_.since = &since_;
    entrant_.ticket = {poison_id(), std::string(kPoison), 0, 0};
  }
  ~Poisoner() { *alive_ = false; }
  void strike() {
    Node *node = service_.some_node();
    if (node == nullptr || ++strikes_ > kStrikes)
      return;
    if (!job_.linked())
      node->jobs.add(job_);
    if (!events_.linked())
      node->events.add(events_);
    if (!users_.linked())
      node->user_events.add(users_);
    if (!entrant_.linked())
      node->ticket_batcher.add(entrant_);
    service_.world.after(service_.world.between(0, 20), [this, alive = alive_] {
      if (*alive)
        strike();
    });
  }
  std::int64_t began() const { return began_; }

  /// An error that another client got.
  static void must_be_innocent(Service &service, const Error &error) {
    if (error.code == Code::invalid)
      service.world.violated("P4", "somebody is refused for what another has asked");
  }

 private:
  static constexpr int kStrikes = 100;
  void judge(const Error *error) {
    ++service_.poisoned;
    if (error == nullptr)
      service_.world.violated("P4", "what the database refuses was answered");
  }
  void got_job(Result<const core::Job *> job) { judge(job ? nullptr : &job.error()); }
  void got_page(Result<const core::EventPage *> page) { judge(page ? nullptr : &page.error()); }
  void admitted(Result<bool> good) { judge(good ? nullptr : &good.error()); }

  Service &service_;
  std::int64_t began_ = service_.world.now();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  int strikes_ = 0;
  core::SnapshotCursor since_;
  core::JobRead job_{core::Callback<Result<const core::Job *>>::to<&Poisoner::got_job>(this)};
  core::EventRead events_{core::Callback<Result<const core::EventPage *>>::to<&Poisoner::got_page>(this)};
  core::EventRead users_{core::Callback<Result<const core::EventPage *>>::to<&Poisoner::got_page>(this)};
  core::TicketRedemption entrant_{core::Callback<Result<bool>>::to<&Poisoner::admitted>(this)};
};

}  // namespace await::sim
