#include "http/runtime/hints.h"

#include <utility>

#include "http/runtime/lifecycle.h"
#include "http/runtime/signing_keys.h"
#include "wire/channel.h"

namespace await::http {

void Hints::on_hint(const core::Hint &hint) {
  if (!hub_.watches(hint.job))
    return;
  if (!hint.signature.empty()) {
    if (!keys_.verifier().is_signed(hint)) {
      keys_.refresh();  // the database may have a new key
    } else if (auto update = wire::read_signed_hint(hint, keys_.timeline())) {
      batch_news_.on_row(update->job);  // before any client gets it
      hub_.publish(std::move(*update));
      return;
    }
  }
  hub_.notify(hint.job, hint.seq);
}

void Hints::on_revocation() { lifecycle_.check_revocations(); }

void UserHints::run() {
  for (const std::string &owner : std::exchange(owners_, {}))
    bus_.publish(wire::user_id(owner), 0, "user");
}

}  // namespace await::http
