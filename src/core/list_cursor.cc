#include "core/list_cursor.h"

#include <algorithm>

#include "base/text.h"
#include "core/cursor.h"
#include "core/cursor_mac.h"

namespace await::core {
namespace {

constexpr char kVersion = 4;  // 1: of one job, core/cursor.h; 3: of a user, core/snapshot_cursor.h
constexpr std::size_t kEid = 8;
constexpr std::size_t kPosition = sizeof(Uuid::Raw) + kEid;

/// Encrypts a position, or decrypts it: the job that was looked at last may be another owner's. The MAC,
/// which is of the position and of the list, is the nonce: equal ones stand for equal positions only.
void mask(const SipKey &key, std::string_view mac, std::string &position) {
  std::string stream;
  for (char block = 0; stream.size() < position.size(); ++block)
    stream += cursor_mac(key, "list cursor" + std::string(mac) + block);
  for (std::size_t i = 0; i < position.size(); ++i)
    position[i] = static_cast<char>(position[i] ^ stream[i]);
}

ListPosition read_position(std::string_view bytes) {
  Uuid::Raw id{};
  std::copy_n(bytes.begin(), id.size(), id.begin());
  std::uint64_t eid = 0;
  for (std::size_t i = 0; i < kEid; ++i)
    eid |= std::uint64_t{static_cast<unsigned char>(bytes[id.size() + i])} << (8 * i);
  return {Uuid(id), static_cast<std::int64_t>(eid)};
}

}  // namespace

std::string encode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                               const ListPosition &next) {
  if (keys.empty())
    return "unsigned";
  std::string position(reinterpret_cast<const char *>(next.id.raw().data()), next.id.raw().size());
  for (std::size_t i = 0; i < kEid; ++i)
    position += static_cast<char>(static_cast<std::uint64_t>(next.eid) >> (8 * i) & 0xff);
  std::string mac = cursor_mac(keys.front(), std::string(1, kVersion) + position + list_key(query));
  mask(keys.front(), mac, position);
  return base64url(std::string(1, kVersion) + position + mac);
}

std::optional<ListPosition> decode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                                               std::string_view text) {
  auto raw = text.size() <= kMostCursor ? from_base64url(text) : std::nullopt;
  if (!raw || raw->size() != 1 + kPosition + kCursorMac || (*raw)[0] != kVersion)
    return std::nullopt;
  std::string_view mac = std::string_view(*raw).substr(1 + kPosition);
  for (const SipKey &key : keys) {
    std::string position = raw->substr(1, kPosition);
    mask(key, mac, position);
    if (is_cursor_mac(std::span(&key, 1), mac, std::string(1, kVersion) + position + list_key(query)))
      return read_position(position);
  }
  return std::nullopt;
}

}  // namespace await::core
