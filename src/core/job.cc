#include "core/job.h"

#include <array>

namespace await::core {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"pending", "processing", "completed",
                                                    "failed",  "cancelled",  "expired"};

// rows: from; columns: to
constexpr bool kMayFollow[6][6] = {
    //                pending processing completed failed cancelled expired
    /* pending    */ {false, true, false, false, true, true},
    /* processing */ {true, false, true, true, true, true},
    /* completed  */ {},
    /* failed     */ {},
    /* cancelled  */ {},
    /* expired    */ {},
};

}  // namespace

std::string_view state_name(State state) { return kNames[static_cast<std::size_t>(state)]; }

std::optional<State> parse_state(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name)
      return static_cast<State>(i);
  }
  return std::nullopt;
}

bool is_ending(State state) { return state >= State::completed; }

bool may_follow(State from, State to) { return kMayFollow[static_cast<int>(from)][static_cast<int>(to)]; }

Event first_event(const EventPage &page) {
  Event first;
  first.seq = 1;
  first.type = state_name(State::pending);
  first.at = page.created_at;
  return first;
}

}  // namespace await::core
