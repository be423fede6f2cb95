#include "wire/channel.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <new>

namespace await::wire {
namespace {
constexpr std::string_view kJob = "job:";
constexpr std::string_view kTopic = "topic:";
}  // namespace

std::optional<Channel> parse_channel(std::string_view text) {
  if (text.starts_with(kJob)) {
    auto id = Uuid::parse(text.substr(kJob.size()));
    if (!id || !id->is_v7())
      return std::nullopt;
    return Channel{*id, false};
  }
  if (!text.starts_with(kTopic) || !is_topic_name(text.substr(kTopic.size())))
    return std::nullopt;
  return Channel{topic_id(text.substr(kTopic.size())), true};
}

bool is_topic_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.:/-").find(c) != std::string_view::npos;
  });
}

Uuid topic_id(std::string_view name) {
  std::string text = std::string(kTopic).append(name);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
  Uuid::Raw raw{};
  std::fill_n(raw.begin(), 6, std::uint8_t{0xff});  // behind every time
  std::copy_n(digest.begin(), 10, raw.begin() + 6);
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x80);
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
  return Uuid(raw);
}

std::string channel_of(const core::EventPage &page) {
  return is_topic(page.job) ? page.owner.value_or("") : std::string(kJob) + page.job.text();
}

std::string topic_name(const core::EventPage &page) {
  return page.owner && page.owner->starts_with(kTopic) ? page.owner->substr(kTopic.size()) : std::string();
}

std::string_view standing(const core::EventPage &page) {
  return is_topic(page.job) ? "live" : core::state_name(page.state);
}

core::EventPage silent(const Uuid &id, std::string_view channel) {
  core::EventPage page;
  page.job = id;
  page.owner = channel;
  page.state = core::State::processing;
  return page;
}

bool matches(std::string_view pattern, std::string_view text) {
  // the place after the last star, and where what it stands for may end
  std::size_t p = 0, t = 0, star = pattern.npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

}  // namespace await::wire
