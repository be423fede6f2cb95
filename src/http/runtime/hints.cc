#include "http/runtime/hints.h"

#include "http/runtime/process.h"

namespace await::http {

void Hints::hinted(const core::Hint &hint) {
  if (!hub_.watches(hint.job))
    return;
  if (!hint.signature.empty()) {
    if (!verifier_.is_signed(hint)) {
      process_.look_for_keys();  // there may be a new one
    } else if (auto told = wire::read_signed_hint(hint, timeline_)) {
      hub_.publish(std::move(*told));
      return;
    }
  }
  hub_.notify(hint.job, hint.seq);
}

void Hints::revoked() { process_.look_for_revoked(); }

}  // namespace await::http
