#include "sim/world.h"

namespace await::sim {

bool World::step() {
  if (plan_.empty())
    return false;
  auto next = plan_.begin();
  now_ = next->first.first;
  auto what = std::move(next->second);
  plan_.erase(next);
  ++steps_;
  what();
  return true;
}

void World::run(std::int64_t ms) {
  std::int64_t end = now_ + ms;
  while (!broken() && !plan_.empty() && plan_.begin()->first.first <= end)
    step();
  now_ = end;
}

void World::violated(const std::string &promise, const std::string &what) {
  if (broken())
    return;
  say("VIOLATED " + promise + ": " + what);
  violation_ = promise + ": " + what;
}

void World::say(const std::string &what) {
  said_.push_back(std::to_string(now_) + " ms  " + what);
  if (said_.size() > 60)
    said_.pop_front();
}

}  // namespace await::sim
