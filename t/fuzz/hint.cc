// What comes from Redis is anybody's: it is understood or passed over, and what we write is understood.

#include "core/hint.h"

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/signed_hint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  auto hint = core::read_hint(in.rest());
  if (!hint)
    return 0;
  fuzz::must(hint->seq >= 0, "a negative seq");
  static wire::Verifier verifier;
  verifier.learn(std::vector<std::string>{"a key that nobody has guessed so far"});
  fuzz::must(!verifier.is_signed(*hint), "a signature out of nothing");
  if (auto told = wire::read_signed_hint(*hint, "t")) {
    fuzz::must(told->last() == hint->seq && told->job.id == hint->job, "it speaks of another event");
    fuzz::must(told->page.events.size() == 1, "one hint, one event");
  }
  auto again = core::read_hint(core::write_hint(hint->job, hint->seq, "x"));
  fuzz::must(again && again->job == hint->job && again->seq == hint->seq, "a hint of our own");
  return 0;
}
