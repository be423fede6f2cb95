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

/// What a database had committed at a moment.
struct Snapshot {
  std::string text;       ///< as PostgreSQL's pg_snapshot writes it; empty: none
  std::int64_t at_s = 0;  ///< Unix time, by the database's clock
};

/// How far somebody has read what all jobs of an owner do. Never a number alone: transactions commit in
/// another order than they begin, and may take their time.
struct SnapshotCursor {
  std::string owner;
  Snapshot seen;         ///< everything committed then is read; empty: from now on
  Snapshot reading;      ///< and of what was committed from then until now …
  std::int64_t eid = 0;  ///< … everything up to this
};

/// What the cursors of one database are signed with: the first signs, all are believed, so that a key can be
/// renewed. Empty: the database has not said it yet.
using CursorKeys = std::vector<SipKey>;

/// As a client sees it: opaque, URL-safe, signed, at most 512 bytes. Where so many transactions were under
/// way that it would be longer it says nothing, and whoever comes back with it is told so.
/// @param user  the channel's id, await.user_id()
/// @param keys  without any it says nothing either
std::string encode_snapshot_cursor(std::span<const SipKey> keys, std::uint32_t timeline, const Uuid &user,
                                   const SnapshotCursor &since);
/// Without the owner. Nothing where it is garbled, of another user or of another timeline, or where none of
/// the keys has signed it. What it brings PostgreSQL takes, whoever has signed it.
std::optional<SnapshotCursor> decode_snapshot_cursor(std::span<const SipKey> keys, std::string_view text,
                                                     std::uint32_t timeline, const Uuid &user);
/// Whether it says that it is of this user. Nobody has looked at its signature.
bool names_user(std::string_view text, const Uuid &user);

}  // namespace await::core
