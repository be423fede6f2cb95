#pragma once

#include <cstdint>
#include <vector>

#include "base/list.h"
#include "core/ports.h"

namespace await::core {

/// Somebody who shows a ticket. Destroying it gives the wait up; the ticket is used all the same.
class TicketRedemption : public Hook<> {
 public:
  explicit TicketRedemption(Callback<Result<bool>> done) : done(done) {}
  TicketUse ticket;
  Callback<Result<bool>> done;  ///< whether it was good; may destroy this

 private:
  friend class TicketBatcher;
  std::size_t position_ = 0;   // in the batch that is out
  std::size_t batch_max_ = 0;  // the largest it may join
};

/// Has the tickets of a round settled together: who comes alone goes at once, while a batch is out the next
/// one gathers. A batch that is refused for what stands in it (`invalid`) used no ticket; it is halved until
/// the bad ticket stands alone, as Gather does with its reads.
class TicketBatcher {
 public:
  TicketBatcher(AccessStore &gate, Scheduler &scheduler) : gate_(gate), scheduler_(scheduler) {}

  void add(TicketRedemption &entrant) {
    entrant.batch_max_ = kMost;
    waiting_.push_back(entrant);
    scheduler_.run_soon();
  }

  void run() {
    if (reply_.waiting())
      return;
    List<TicketRedemption> &from = suspects_.empty() ? waiting_ : suspects_;
    if (from.empty())
      return;
    std::size_t most = from.front()->batch_max_;
    std::vector<TicketUse> tickets;
    while (TicketRedemption *next = from.front()) {
      if (tickets.size() == most || next->batch_max_ != most)
        break;
      next->position_ = tickets.size();
      tickets.push_back(next->ticket);
      out_.push_back(*next);
    }
    size_ = tickets.size();
    gate_.use(tickets, reply_);
  }

 private:
  static constexpr std::size_t kMost = 256;

  void on_result(Result<std::vector<bool>> good) {
    // mutant: bad-ticket-alone
    if (!good && good.error().code == Code::invalid && size_ > 1) {
      out_.each([this](TicketRedemption &entrant) { entrant.batch_max_ = (size_ + 1) / 2; });
      suspects_.take_all(out_);
    }
    if (!waiting_.empty() || !suspects_.empty())
      scheduler_.run_soon();
    List<TicketRedemption> all;  // calling back may destroy any of them
    all.take_all(out_);
    while (TicketRedemption *entrant = all.pop_front()) {
      // mutant: ticket-answers-in-order
      if (good)
        entrant->done(static_cast<bool>((*good)[entrant->position_]));
      else
        entrant->done(good.error());
    }
  }

  AccessStore &gate_;
  Scheduler &scheduler_;
  List<TicketRedemption> waiting_;
  List<TicketRedemption> suspects_;  // one of them may be what PostgreSQL refuses
  List<TicketRedemption> out_;       // in the batch that is out
  std::size_t size_ = 0;             // of it
  Reply<std::vector<bool>> reply_ = Reply<std::vector<bool>>::to<&TicketBatcher::on_result>(this);
};

}  // namespace await::core
