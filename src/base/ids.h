#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/siphash.h"

namespace await {

/// The id of a job: a UUIDv7 (RFC 9562 §5.7). The two low bits of its milliseconds are the retention class.
/// That of a batch is the same as a UUIDv8.
class Uuid {
 public:
  using Raw = std::array<std::uint8_t, 16>;

  Uuid() = default;
  explicit Uuid(const Raw &raw) : raw_(raw) {}

  /// Parses the 36-character form, in upper or lower case. Empty if `text` is anything else.
  static std::optional<Uuid> parse(std::string_view text);
  /// @param unix_ms  milliseconds since 1970, by the clock of PostgreSQL
  /// @param retention  the retention class, 0 to 3
  /// @param random  ten new bytes of a CSPRNG, of which 74 bits are used
  static Uuid v7(std::int64_t unix_ms, unsigned retention, const std::array<std::uint8_t, 10> &random);

  std::string text() const;
  const Raw &raw() const { return raw_; }
  bool is_v7() const { return (raw_[6] >> 4) == 7 && (raw_[8] >> 6) == 2; }
  bool is_v8() const { return (raw_[6] >> 4) == 8 && (raw_[8] >> 6) == 2; }
  /// The same with version 8.
  Uuid as_v8() const {
    Uuid out(*this);
    out.raw_[6] = static_cast<std::uint8_t>((raw_[6] & 0x0f) | 0x80);
    return out;
  }
  std::int64_t unix_ms() const;
  unsigned retention() const { return raw_[5] & 3U; }
  /// The number of the Redis channel for hints, 0 to 4095: the last twelve bits of the id, which are random.
  unsigned shard() const { return (raw_[14] & 15U) << 8 | raw_[15]; }

  friend bool operator==(const Uuid &, const Uuid &) = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 mistakes the comparison for a null pointer
  friend auto operator<=>(const Uuid &, const Uuid &) = default;

 private:
  Raw raw_{};
};

}  // namespace await

template <>
struct std::hash<await::Uuid> {
  std::size_t operator()(const await::Uuid &id) const noexcept {
    std::uint64_t words[2];  // clients can send ids that they made up: no part of them is random
    std::memcpy(words, id.raw().data(), sizeof words);
    return await::seeded_hash(words[0], words[1]);
  }
};
