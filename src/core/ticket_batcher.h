#pragma once

#include <cstdint>
#include <vector>

#include "base/list.h"
#include "core/ports.h"

namespace await::core {

/// The redemption of one ticket. Destroying it cancels the callback; the ticket may be redeemed nevertheless.
class TicketRedemption : public Hook<> {
 public:
  explicit TicketRedemption(Callback<Result<bool>> callback) : on_result(callback) {}
  TicketUse ticket;
  Callback<Result<bool>> on_result;  ///< whether the ticket is valid; may destroy this

 private:
  friend class TicketBatcher;
  std::size_t slot_ = 0;       // in the batch in flight
  std::size_t batch_max_ = 0;  // the largest batch it may join
};

/// Redeems tickets in batches: at once if no batch is in flight, otherwise together in the next one. A batch
/// that is rejected because of a value in it (`invalid`) has redeemed no ticket; it is halved until the
/// invalid ticket is alone, as ReadBatcher does.
class TicketBatcher {
 public:
  TicketBatcher(AccessStore &store, Scheduler &scheduler) : store_(store), scheduler_(scheduler) {}

  void add(TicketRedemption &redemption) {
    redemption.batch_max_ = kMost;
    waiting_.push_back(redemption);
    scheduler_.run_soon();
  }

  /// Called when the Scheduler runs. Sends a batch.
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
      next->slot_ = tickets.size();
      tickets.push_back(next->ticket);
      out_.push_back(*next);
    }
    size_ = tickets.size();
    store_.use(tickets, reply_);
  }

 private:
  static constexpr std::size_t kMost = 256;

  void on_batch(Result<std::vector<bool>> good) {
    // mutant: bad-ticket-alone
    if (!good && good.error().code == Code::invalid && size_ > 1) {
      out_.each([this](TicketRedemption &redemption) { redemption.batch_max_ = (size_ + 1) / 2; });
      suspects_.take_all(out_);
    }
    if (!waiting_.empty() || !suspects_.empty())
      scheduler_.run_soon();
    List<TicketRedemption> all;  // a callback may destroy any of them
    all.take_all(out_);
    while (TicketRedemption *redemption = all.pop_front()) {
      // mutant: ticket-answers-in-order
      if (good)
        redemption->on_result(static_cast<bool>((*good)[redemption->slot_]));
      else
        redemption->on_result(good.error());
    }
  }

  AccessStore &store_;
  Scheduler &scheduler_;
  List<TicketRedemption> waiting_;
  List<TicketRedemption> suspects_;  // one of them is invalid
  List<TicketRedemption> out_;       // in the batch in flight
  std::size_t size_ = 0;             // of the batch in flight
  Reply<std::vector<bool>> reply_ = Reply<std::vector<bool>>::to<&TicketBatcher::on_batch>(this);
};

}  // namespace await::core
