#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/siphash.h"

namespace await::core {

/// The transactions that a database had committed at one moment.
struct Snapshot {
  std::string text;       ///< in the text form of pg_snapshot; empty: none
  std::int64_t at_s = 0;  ///< Unix time in seconds, by the clock of the database
};

/// How far a client has read the channel of a user, whose events are those of all jobs of an owner. A number
/// is not enough, because transactions do not commit in the order in which they draw numbers.
struct SnapshotCursor {
  std::string owner;
  Snapshot seen;         ///< the client has everything that was committed then; empty: start now
  Snapshot reading;      ///< and of what was committed between `seen` and this …
  std::int64_t eid = 0;  ///< … everything up to this
};

/// The keys for signatures of cursors: the first one signs, all are accepted, so that a key can be replaced.
/// Empty until the database has been asked.
using CursorKeys = std::vector<SipKey>;

/// Encodes a cursor for clients: opaque, URL-safe, signed, at most kMostCursor bytes. If it would be longer,
/// because of many running transactions, returns an invalid cursor, and the client will resume with a reset.
/// @param user  the id of the channel, await.user_id()
/// @param keys  if empty, the cursor is invalid too
std::string encode_snapshot_cursor(std::span<const SipKey> keys, std::uint32_t timeline, const Uuid &user,
                                   const SnapshotCursor &since);
/// Decodes a cursor, without the owner. Empty if it is malformed, of another user or of another timeline, or
/// not signed with one of the keys. PostgreSQL accepts every snapshot that is returned.
std::optional<SnapshotCursor> decode_snapshot_cursor(std::span<const SipKey> keys, std::string_view text,
                                                     std::uint32_t timeline, const Uuid &user);
/// Whether a cursor is of this user. Does not verify its signature.
bool names_user(std::string_view text, const Uuid &user);

}  // namespace await::core
