#include "core/snapshot_cursor.h"

#include <algorithm>

#include "base/text.h"
#include "core/cursor.h"
#include "core/cursor_mac.h"

namespace await::core {
namespace {

constexpr char kVersion = 3;                 // 1: of one job, core/cursor.h; 2: as this, not signed
constexpr std::uint64_t kMostRunning = 512;  // of running transactions in a snapshot
constexpr std::uint64_t kMostNumber = std::uint64_t{1} << 62;
constexpr std::string_view kTooBusy = "busy";
constexpr std::size_t kUser = 5;  // its position in the header, after the timeline
constexpr std::size_t kUserBytes = 8;

/// Seven bits a byte, the lowest first (LEB128).
void put(std::string &out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

/// Reads numbers until one is missing or too large.
class Numbers {
 public:
  explicit Numbers(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t next() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      if (rest_.empty())
        break;
      auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) {
        good_ = good_ && value <= kMostNumber;
        return value;
      }
    }
    good_ = false;
    return 0;
  }
  bool good() const { return good_; }
  bool over() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

/// Encodes `xmin:xmax:xip,xip,…` as numbers: xmin, the distance to xmax, the number of xips, and the
/// distances between them.
bool put_snapshot(std::string &out, const Snapshot &snapshot) {
  std::string_view rest = snapshot.text;
  auto number = [](std::string_view text) { return parse_number(text, INT64_MAX); };
  auto xmin = number(cut(rest, ':'));
  auto xmax = number(cut(rest, ':'));
  if (!xmin || !xmax || *xmax < *xmin)
    return false;
  put(out, static_cast<std::uint64_t>(snapshot.at_s));
  put(out, static_cast<std::uint64_t>(*xmin));
  put(out, static_cast<std::uint64_t>(*xmax - *xmin));
  put(out, rest.empty() ? 0 : static_cast<std::uint64_t>(std::count(rest.begin(), rest.end(), ',')) + 1);
  auto before = *xmin;
  while (!rest.empty()) {
    auto xid = number(cut(rest, ','));
    if (!xid || *xid < before)
      return false;
    put(out, static_cast<std::uint64_t>(*xid - before));
    before = *xid;
  }
  return true;
}

/// Whether it is a transaction id: its lower 32 bits are not 0 (FullTransactionIdIsValid).
bool is_xid(std::uint64_t xid) { return static_cast<std::uint32_t>(xid) != 0; }

/// Decodes only what pg_snapshot_in accepts: increasing numbers within bounds, of which the first two are
/// transaction ids.
std::optional<Snapshot> get_snapshot(Numbers &in) {
  Snapshot out;
  out.at_s = static_cast<std::int64_t>(in.next());
  std::uint64_t xmin = in.next();
  std::uint64_t xmax = xmin + in.next();
  std::uint64_t count = in.next();
  if (!in.good() || !is_xid(xmin) || !is_xid(xmax) || xmax > kMostNumber || count > kMostRunning)
    return std::nullopt;
  out.text = std::to_string(xmin) + ":" + std::to_string(xmax) + ":";
  std::uint64_t xid = xmin;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t step = in.next();
    xid += step;
    if (!in.good() || (i > 0 && step == 0) || xid >= xmax)
      return std::nullopt;
    out.text += (i > 0 ? "," : "") + std::to_string(xid);
  }
  return out;
}

/// The header: version, timeline, and eight bytes of the id of the user, which is a digest.
std::string head(std::uint32_t timeline, const Uuid &user) {
  std::string out(1, kVersion);
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(timeline >> shift & 0xff);
  out.append(reinterpret_cast<const char *>(user.raw().data()) + sizeof(Uuid) - kUserBytes, kUserBytes);
  return out;
}

/// What is signed: the cursor, and the whole id of the user.
std::string signed_part(std::string_view raw, const Uuid &user) {
  std::string text(raw);
  return text.append(reinterpret_cast<const char *>(user.raw().data()), user.raw().size());
}

}  // namespace

std::string encode_snapshot_cursor(std::span<const SipKey> keys, std::uint32_t timeline, const Uuid &user,
                                   const SnapshotCursor &since) {
  if (keys.empty())
    return std::string(kTooBusy);
  std::string raw = head(timeline, user);
  // mutant: cursor-within-page
  bool between = !since.reading.text.empty();
  bool fits = put_snapshot(raw, since.seen);
  if (fits && between) {
    put(raw, static_cast<std::uint64_t>(since.eid));
    fits = put_snapshot(raw, since.reading);
  }
  std::string text = base64url(raw + cursor_mac(keys.front(), signed_part(raw, user)));
  return fits && text.size() <= kMostCursor ? text : std::string(kTooBusy);
}

std::optional<SnapshotCursor> decode_snapshot_cursor(std::span<const SipKey> keys, std::string_view text,
                                                     std::uint32_t timeline, const Uuid &user) {
  auto raw = text.size() <= kMostCursor ? from_base64url(text) : std::nullopt;
  std::string expected = head(timeline, user);
  if (!raw || !raw->starts_with(expected) || raw->size() < expected.size() + kCursorMac)
    return std::nullopt;
  std::string_view body = std::string_view(*raw).substr(0, raw->size() - kCursorMac);
  std::string_view sum = std::string_view(*raw).substr(body.size());
  if (!is_cursor_mac(keys, sum, signed_part(body, user)))
    return std::nullopt;
  Numbers in(body.substr(expected.size()));
  SnapshotCursor out;
  auto seen = get_snapshot(in);
  if (!seen)
    return std::nullopt;
  out.seen = std::move(*seen);
  if (in.over())
    return out;
  out.eid = static_cast<std::int64_t>(in.next());
  auto reading = get_snapshot(in);
  if (!reading || !in.over())
    return std::nullopt;
  out.reading = std::move(*reading);
  return out;
}

bool names_user(std::string_view text, const Uuid &user) {
  auto raw = text.size() <= kMostCursor ? from_base64url(text) : std::nullopt;
  return raw && raw->size() > kUser && (*raw)[0] == kVersion &&
         std::string_view(*raw).substr(kUser, kUserBytes) == std::string_view(head(0, user)).substr(kUser);
}

}  // namespace await::core
