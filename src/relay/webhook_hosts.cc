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

std::vector<WebhookHosts::Known> WebhookHosts::known(std::int64_t now_ms) {
  std::vector<Known> out;
  for (auto &[name, host] : hosts_) {
    fill(host, now_ms);
    bool full = host.in_flight >= most(host) || host.tokens < 1 || host.paused_until_ms > now_ms;
    out.push_back({name, full ? 0 : most(host), host.since_us});
  }
  return out;
}

bool WebhookHosts::has_room(const std::string &name, std::int64_t now_ms) {
  Host &one = host(name, now_ms);
  fill(one, now_ms);
  return one.in_flight < most(one) && one.tokens >= 1 && one.paused_until_ms <= now_ms;
}

void WebhookHosts::started(const std::string &name) {
  Host &one = hosts_[name];
  ++one.in_flight;
  one.tokens -= 1;
}

bool WebhookHosts::answered(const std::string &name, std::int64_t now_ms, std::int64_t pause_ms) {
  Host &one = host(name, now_ms);
  --one.in_flight;
  bool was_failing = one.failures >= kFailing;
  one.failures = 0;
  one.paused_until_ms = pause_ms > 0 ? now_ms + pause_ms : 0;
  return was_failing;
}

bool WebhookHosts::failed(const std::string &name, std::int64_t now_ms, bool down) {
  Host &one = host(name, now_ms);
  --one.in_flight;
  if (!down || ++one.failures < kFailing)
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
    bool plain = one.in_flight == 0 && one.failures == 0 && one.paused_until_ms <= now_ms &&
                 one.tokens >= static_cast<double>(limits_.at_once);
    at = plain ? hosts_.erase(at) : std::next(at);
  }
}

}  // namespace await::relay
