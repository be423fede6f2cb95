#pragma once

#include "base/list.h"
#include "core/ports.h"
#include "pg/job_store.h"

namespace await::http {

/// Those who came before the database has said what it is: in the first moments of an nginx worker. They wait
/// as long as a statement would for its connection.
class Introduction {
 public:
  /// Destroying it gives the wait up.
  struct Guest : Hook<> {
    explicit Guest(core::Callback<Result<Done>> met) : met(met) {}
    core::Callback<Result<Done>> met;  ///< an error: it is away; may destroy this
  };

  Introduction(pg::JobStore &store, pg::Connection &connection) : store_(store), connection_(connection) {}

  void add(Guest &guest) {
    waiting_.push_back(guest);
    if (!reply_.waiting())
      store_.hello(connection_, {}, reply_);  // answered after the one that every connection begins with
  }

 private:
  void said(Result<pg::Hello> hello) {
    List<Guest> all;  // each may destroy others
    all.take_all(waiting_);
    while (Guest *guest = all.pop_front())
      guest->met(hello ? Result<Done>(Done()) : Result<Done>(hello.error()));
  }

  pg::JobStore &store_;
  pg::Connection &connection_;
  List<Guest> waiting_;
  core::Reply<pg::Hello> reply_ = core::Reply<pg::Hello>::to<&Introduction::said>(this);
};

}  // namespace await::http
