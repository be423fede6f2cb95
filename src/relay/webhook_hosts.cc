#include "relay/webhook_hosts.h"

#include <algorithm>

namespace await::relay {

void WebhookHosts::fill(Host &host, std::int64_t now_ms) const {
  auto elapsed = static_cast<double>(std::max<std::int64_t>(now_ms - host.filled_ms, 0));
  host.tokens =
      std::min<double>(limits_.at_once, host.tokens + elapsed * static_cast<double>(limits_.a_second) / 1000);
  host.filled_ms = now_ms;
}

WebhookHosts::Host &WebhookHosts::host(const std::string &name, std::int64_t now_ms) {
  auto [at, added] = hosts_.try_emplace(name);
  if (added) {
    at->second.tokens = limits_.at_once;
    at->second.filled_ms = now_ms;
  }
  return at->second;
}

int WebhookHosts::most_of(State state) const {
  int all = limits_.all_at_once;
  return state == State::answers ? all : std::max(state == State::untried ? all / 2 : all / 4, 1);
}

int WebhookHosts::room(const Host &host, std::int64_t now_ms) const {
  if (host.paused_until_ms > now_ms)
    return 0;
  int most = host.failures >= kFailing ? 1 : std::min(host.allowed, limits_.at_once);
  int all = std::min(room(), most_of(host.state) - in_flight_[static_cast<std::size_t>(host.state)]);
  return std::max(0, std::min({most - host.in_flight, all, static_cast<int>(host.tokens)}));
}

std::vector<WebhookHosts::Known> WebhookHosts::known(std::int64_t now_ms) {
  std::vector<Known> out;
  for (auto &[name, host] : hosts_) {
    fill(host, now_ms);
    out.push_back({name, room(host, now_ms), host.since_us});
  }
  return out;
}

bool WebhookHosts::has_room(const std::string &name, std::int64_t now_ms) {
  Host &one = host(name, now_ms);
  fill(one, now_ms);
  return room(one, now_ms) > 0;
}

void WebhookHosts::started(const std::string &name) {
  Host &one = hosts_[name];
  ++one.in_flight;
  ++in_flight(one.state);
  one.tokens -= 1;
}

void WebhookHosts::set_state(Host &host, State state) {
  in_flight(host.state) -= host.in_flight;
  host.state = state;
  in_flight(state) += host.in_flight;
}

/// A request is over.
WebhookHosts::Host &WebhookHosts::ended(const std::string &name, std::int64_t now_ms) {
  Host &one = host(name, now_ms);
  --one.in_flight;
  --in_flight(one.state);
  one.used_ms = now_ms;
  return one;
}

bool WebhookHosts::answered(const std::string &name, std::int64_t now_ms, std::int64_t pause_ms,
                            std::int64_t took_ms) {
  Host &one = ended(name, now_ms);
  if (took_ms >= kSlowMs)
    one.slow_until_ms = now_ms + kSlowForMs;
  set_state(one, one.slow_until_ms > now_ms ? State::silent : State::answers);
  one.allowed = std::min(one.allowed * 2, limits_.at_once);
  bool was_failing = one.failures >= kFailing;
  one.failures = 0;
  one.paused_until_ms = pause_ms > 0 ? now_ms + pause_ms : 0;
  return was_failing;
}

bool WebhookHosts::failed(const std::string &name, std::int64_t now_ms, Trouble trouble) {
  Host &one = ended(name, now_ms);
  if (trouble == Trouble::of_url)
    return false;
  set_state(one, State::silent);
  one.allowed = std::max(one.allowed / 2, 1);
  if (trouble == Trouble::slow)
    one.slow_until_ms = now_ms + kSlowForMs;
  // those that were under way together fail once
  if (trouble == Trouble::slow || one.paused_until_ms > now_ms || ++one.failures < kFailing)
    return false;
  std::int64_t pause = 1000;
  for (int i = kFailing; i < one.failures && pause < kMostPauseMs; ++i)
    pause *= 2;
  one.paused_until_ms = now_ms + std::min(pause, kMostPauseMs);
  return one.failures == kFailing;
}

void WebhookHosts::saw(const std::string &name, std::int64_t due_us) {
  auto at = hosts_.find(name);
  if (at != hosts_.end())
    at->second.since_us = std::max(at->second.since_us, due_us - kSlackUs);
}

bool WebhookHosts::throttled() const {
  return std::any_of(hosts_.begin(), hosts_.end(), [](const auto &one) { return one.second.tokens < 1; });
}

void WebhookHosts::forget(std::int64_t now_ms) {
  for (auto at = hosts_.begin(); at != hosts_.end();) {
    Host &one = at->second;
    fill(one, now_ms);
    one.since_us = 0;
    bool silent = one.state == State::silent && now_ms - one.used_ms < kSilentMs;
    bool plain = !silent && one.in_flight == 0 && one.failures == 0 && one.paused_until_ms <= now_ms &&
                 one.tokens >= static_cast<double>(limits_.at_once);
    at = plain ? hosts_.erase(at) : std::next(at);
  }
}

}  // namespace await::relay
