#pragma once

#include <vector>

#include "base/list.h"
#include "core/ports.h"

namespace await::core {

/// Somebody who shows a ticket. Destroying it gives the wait up; the ticket is used all the same.
class Entrant : public Hook<> {
 public:
  explicit Entrant(Callback<Result<bool>> done) : done(done) {}
  TicketUse ticket;
  Callback<Result<bool>> done;  ///< whether it was good; may destroy this

 private:
  friend class Turnstile;
  std::size_t place_ = 0;  // in the batch that is out
};

/// Has the tickets of a round settled together: who comes alone goes at once, while a batch is out the next
/// one gathers.
class Turnstile {
 public:
  Turnstile(Gate &gate, Wake &wake) : gate_(gate), wake_(wake) {}

  void add(Entrant &entrant) {
    waiting_.push_back(entrant);
    wake_.wake();
  }

  void run() {
    if (reply_.waiting() || waiting_.empty())
      return;
    std::vector<TicketUse> tickets;
    while (Entrant *next = tickets.size() < kMost ? waiting_.pop_front() : nullptr) {
      next->place_ = tickets.size();
      tickets.push_back(next->ticket);
      out_.push_back(*next);
    }
    gate_.use(tickets, reply_);
  }

 private:
  static constexpr std::size_t kMost = 256;

  void landed(Result<std::vector<bool>> good) {
    if (!waiting_.empty())
      wake_.wake();
    List<Entrant> all;  // calling back may destroy any of them
    all.take_all(out_);
    while (Entrant *entrant = all.pop_front()) {
      if (good)
        entrant->done(static_cast<bool>((*good)[entrant->place_]));
      else
        entrant->done(good.error());
    }
  }

  Gate &gate_;
  Wake &wake_;
  List<Entrant> waiting_;
  List<Entrant> out_;  // in the batch that is out
  Reply<std::vector<bool>> reply_ = Reply<std::vector<bool>>::to<&Turnstile::landed>(this);
};

}  // namespace await::core
