#include "wire/channel.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/text.h"

namespace await::wire {
namespace {
constexpr std::string_view kJob = "job:";
constexpr std::string_view kBatch = "batch:";
constexpr std::string_view kTopic = "topic:";
constexpr std::string_view kUser = "user:";
constexpr std::uint8_t kTopicMark = 0xff;
constexpr std::uint8_t kUserMark = 0xfe;

/// A UUIDv8 from the digest of the name, which is greater than every UUIDv7.
Uuid named_id(std::string_view kind, std::string_view name, std::uint8_t mark) {
  std::string text = std::string(kind).append(name);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
  Uuid::Raw raw{};
  std::fill_n(raw.begin(), 6, std::uint8_t{0xff});
  raw[3] = mark;
  std::copy_n(digest.begin(), 10, raw.begin() + 6);
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x80);
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
  return Uuid(raw);
}

}  // namespace

std::string Channel::text() const {
  switch (kind()) {
    case core::Kind::job:
      break;
    case core::Kind::batch:
      return std::string(kBatch) + id.text();
    case core::Kind::topic:
      return std::string(kTopic) + name;
    case core::Kind::user:
      return std::string(kUser) + name;
  }
  return std::string(kJob) + id.text();
}

std::optional<Channel> parse_channel(std::string_view text) {
  for (auto [prefix, kind] : {std::pair(kJob, core::Kind::job), std::pair(kBatch, core::Kind::batch)}) {
    if (!text.starts_with(prefix))
      continue;
    auto id = Uuid::parse(text.substr(prefix.size()));
    return id && core::kind_of(*id) == kind ? std::optional(Channel{*id, {}}) : std::nullopt;
  }
  if (text.starts_with(kTopic) && is_topic_name(text.substr(kTopic.size()))) {
    text.remove_prefix(kTopic.size());
    return Channel{topic_id(text), std::string(text)};
  }
  if (text.starts_with(kUser) && is_user_name(text.substr(kUser.size()))) {
    text.remove_prefix(kUser.size());
    return Channel{user_id(text), std::string(text)};
  }
  return std::nullopt;
}

bool is_topic_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.:/-").find(c) != std::string_view::npos;
  });
}

bool is_user_name(std::string_view name) { return !name.empty() && name.size() <= 256 && is_text(name); }

Uuid topic_id(std::string_view name) { return named_id(kTopic, name, kTopicMark); }
Uuid user_id(std::string_view name) { return named_id(kUser, name, kUserMark); }

core::Kind kind_of(const core::EventPage &page) {
  return page.merged ? core::Kind::user : core::kind_of(page.job);
}

std::string channel_of(const core::EventPage &page) {
  switch (kind_of(page)) {
    case core::Kind::job:
      break;
    case core::Kind::batch:
      return std::string(kBatch) + page.job.text();
    case core::Kind::topic:
      return page.owner.value_or("");
    case core::Kind::user:
      return std::string(kUser) + page.owner.value_or("");
  }
  return std::string(kJob) + page.job.text();
}

std::string topic_name(const core::EventPage &page) {
  return page.owner && page.owner->starts_with(kTopic) ? page.owner->substr(kTopic.size()) : std::string();
}

std::string_view standing(core::Kind kind, core::State state) {
  return core::ends(kind) ? core::state_name(state) : kLive;
}

std::string_view standing(const core::EventPage &page) { return standing(kind_of(page), page.state); }

bool matches(std::string_view pattern, std::string_view text) {
  // the position after the last star, and the end of what it matches
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
