#include "core/cursor.h"

#include <string>

#include "base/text.h"

namespace await::core {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kLength = 1 + 4 + 4 + 4;

// FNV-1a, to tell things apart, not to keep secrets
std::uint32_t fnv(std::string_view bytes) {
  std::uint32_t hash = 2166136261U;
  for (unsigned char c : bytes)
    hash = (hash ^ c) * 16777619U;
  return hash;
}

void put(std::string &out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
}

std::uint32_t get(std::string_view in) {
  std::uint32_t value = 0;
  for (unsigned char c : in.substr(0, 4))
    value = value << 8 | c;
  return value;
}

std::uint32_t job_hash(const Uuid &job) {
  return fnv({reinterpret_cast<const char *>(job.raw().data()), job.raw().size()});
}

}  // namespace

std::uint32_t timeline_hash(std::string_view timeline) { return fnv(timeline); }

std::optional<std::uint32_t> cursor_timeline(std::string_view text) {
  auto raw = from_base64url(text);
  if (!raw || raw->size() < 5)
    return std::nullopt;
  return get(std::string_view(*raw).substr(1));
}

std::string encode_cursor(std::uint32_t timeline, const Uuid &job, int seq) {
  std::string raw(1, kVersion);
  put(raw, timeline);
  put(raw, job_hash(job));
  put(raw, static_cast<std::uint32_t>(seq));
  return base64url(raw);
}

std::optional<int> decode_cursor(std::string_view text, std::uint32_t timeline, const Uuid &job) {
  auto raw = text.size() <= kMostCursor ? from_base64url(text) : std::nullopt;
  if (!raw || raw->size() != kLength || (*raw)[0] != kVersion)
    return std::nullopt;
  std::string_view rest = std::string_view(*raw).substr(1);
  if (get(rest) != timeline || get(rest.substr(4)) != job_hash(job))
    return std::nullopt;
  auto seq = get(rest.substr(8));
  if (seq > INT32_MAX)
    return std::nullopt;
  return static_cast<int>(seq);
}

}  // namespace await::core
