#include "base/ids.h"

namespace await {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool dash_before(std::size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

}  // namespace

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36)
    return std::nullopt;
  Raw raw;
  std::size_t at = 0;
  for (std::size_t byte = 0; byte < raw.size(); ++byte) {
    if (dash_before(byte) && text[at++] != '-')
      return std::nullopt;
    int high = hex_value(text[at]);
    int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    raw[byte] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return Uuid(raw);
}

Uuid Uuid::v7(std::int64_t unix_ms, unsigned retention, const std::array<std::uint8_t, 10> &random) {
  Raw raw;
  auto ms = (static_cast<std::uint64_t>(unix_ms) & ~std::uint64_t{3}) | (retention & 3U);
  for (int byte = 0; byte < 6; ++byte)
    raw[byte] = static_cast<std::uint8_t>(ms >> (40 - 8 * byte));
  std::memcpy(raw.data() + 6, random.data(), random.size());
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x70);
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
  return Uuid(raw);
}

std::string Uuid::text() const {
  std::string out(36, '-');
  std::size_t at = 0;
  for (std::size_t byte = 0; byte < raw_.size(); ++byte) {
    if (dash_before(byte))
      ++at;
    out[at++] = kHex[raw_[byte] >> 4];
    out[at++] = kHex[raw_[byte] & 15];
  }
  return out;
}

std::int64_t Uuid::unix_ms() const {
  std::int64_t ms = 0;
  for (int byte = 0; byte < 6; ++byte)
    ms = ms << 8 | raw_[byte];
  return ms;
}

}  // namespace await
