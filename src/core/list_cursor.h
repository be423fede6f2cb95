#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/job_list.h"
#include "core/snapshot_cursor.h"

namespace await::core {

/// The cursor of the next page of a list: opaque and URL-safe. It is signed together with the owner and the
/// filters, so it is of use on this list only, and encrypted, as it may have the id of another owner's job.
/// It outlives a failover: a position is no promise of what lies before it.
/// @param keys  if empty, the cursor is invalid
std::string encode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                               const ListPosition &next);
/// The position in a cursor. Empty if it is malformed, of another list, or not signed with one of the keys.
std::optional<ListPosition> decode_list_cursor(std::span<const SipKey> keys, const ListQuery &query,
                                               std::string_view text);

}  // namespace await::core
