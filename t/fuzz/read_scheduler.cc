// core::ReadScheduler as a sequence of operations, against a history that grows: never two reads at once, and
// when everything has been said and the tries are over, a true hint has been read.

#include "core/read_scheduler.h"

#include <utility>

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using await::core::ReadScheduler;
  using await::fuzz::must;
  await::fuzz::Input in(data, size);
  int last = static_cast<int>(in.byte() % 4);  // the truth
  int hinted = 0;                              // the largest true hint given
  ReadScheduler scheduler(0);
  int reading = 0;  // reads under way
  int began = 0;    // what the read under way will find
  bool retry = false;

  auto apply = [&](ReadScheduler::Action action) {
    if (action.what == ReadScheduler::Action::read) {
      must(++reading == 1, "two reads at once");
      began = last;
    } else if (action.what == ReadScheduler::Action::retry) {
      must(action.delay_ms > 0 && action.delay_ms <= 1000, "a delay out of bounds");
      must(reading == 0, "a try is put off while a read is out");
      retry = true;
    }
  };
  auto land = [&](int page) {
    --reading;
    apply(scheduler.on_read(std::min(began, scheduler.seen() + page), began));
  };

  apply(scheduler.read_now());
  while (!in.empty()) {
    switch (in.byte() % 7) {
      case 0:
        ++last;
        break;
      case 1:
        if (last > 0)
          hinted = last, apply(scheduler.on_hint(last));
        break;
      case 2:
        apply(
            scheduler.on_hint(last + 1 + static_cast<int>(in.byte())));  // forged, or sent before its commit
        break;
      case 3:
        apply(scheduler.on_hint(0));
        break;
      case 4:
        if (reading > 0)
          land(1 + static_cast<int>(in.byte() % 3));
        break;
      case 5:
        if (reading > 0) {
          --reading;
          apply(scheduler.on_read_error());
        }
        break;
      case 6:
        if (std::exchange(retry, false))
          apply(scheduler.read_now());
        break;
    }
    must(scheduler.seen() <= last, "it has seen what is not there");
  }
  // the world comes to rest: reads land, tries are made
  for (int i = 0; (reading > 0 || retry) && i < 100000; ++i) {
    if (reading > 0)
      land(100);
    else if (std::exchange(retry, false))
      apply(scheduler.read_now());
  }
  must(reading == 0 && !retry, "it never comes to rest");
  must(scheduler.seen() >= hinted, "a true hint was never read");
  return 0;
}
