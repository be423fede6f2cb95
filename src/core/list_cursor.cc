#include "core/list_cursor.h"

#include <algorithm>

#include "base/text.h"
#include "core/cursor.h"
#include "core/cursor_mac.h"

namespace await::core {
namespace {

constexpr char kVersion = 4;  // 1: of one job, core/cursor.h; 3: of a user, core/snapshot_cursor.h
constexpr std::size_t kEid = 8;
constexpr std::size_t kBody = 1 + sizeof(Uuid::Raw) + kEid;

}  // namespace

std::string encode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                               const ListPosition &next) {
  if (keys.empty())
    return "unsigned";
  std::string raw(1, kVersion);
  raw.append(reinterpret_cast<const char *>(next.id.raw().data()), next.id.raw().size());
  for (std::size_t i = 0; i < kEid; ++i)
    raw += static_cast<char>(static_cast<std::uint64_t>(next.eid) >> (8 * i) & 0xff);
  return base64url(raw + cursor_mac(keys.front(), raw + list_key(query)));
}

std::optional<ListPosition> decode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                                               std::string_view text) {
  auto raw = text.size() <= kMostCursor ? from_base64url(text) : std::nullopt;
  if (!raw || raw->size() != kBody + kCursorMac || (*raw)[0] != kVersion)
    return std::nullopt;
  std::string body = raw->substr(0, kBody);
  if (!is_cursor_mac(keys, std::string_view(*raw).substr(kBody), body + list_key(query)))
    return std::nullopt;
  Uuid::Raw id{};
  std::copy_n(body.begin() + 1, id.size(), id.begin());
  std::uint64_t eid = 0;
  for (std::size_t i = 0; i < kEid; ++i)
    eid |= std::uint64_t{static_cast<unsigned char>(body[1 + id.size() + i])} << (8 * i);
  return ListPosition{Uuid(id), static_cast<std::int64_t>(eid)};
}

}  // namespace await::core
