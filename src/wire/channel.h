#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "core/job.h"
#include "core/kind.h"

namespace await::wire {

/// A channel that a client can watch: `job:<id>`, `batch:<id>`, `topic:<name>` or `user:<name>`. A topic has
/// events like a job, but no end. The events of a user are those of all jobs and batches of the user. The ids
/// of topics and users are derived from their names, as by await.topic_id() and await.user_id().
struct Channel {
  Uuid id;
  std::string name;  ///< name of a topic or user
  core::Kind kind() const { return core::kind_of(id); }
  /// `job:<id>`, `batch:<id>`, `topic:<name>`, `user:<name>`
  std::string text() const;
};
/// Empty if `text` is not a channel.
std::optional<Channel> parse_channel(std::string_view text);

/// Whether `name` is 1 to 128 characters of A-Z a-z 0-9 _ . : / -
bool is_topic_name(std::string_view name);
/// Whether `name` is 1 to 256 bytes of text, as the value of await_owner can be.
bool is_user_name(std::string_view name);
Uuid topic_id(std::string_view name);
Uuid user_id(std::string_view name);

core::Kind kind_of(const core::EventPage &page);
/// The channel of a page.
std::string channel_of(const core::EventPage &page);
/// The topic of a page of a topic.
std::string topic_name(const core::EventPage &page);
/// The state of a channel for clients: the state of a job or batch, or "live" for other channels.
std::string_view standing(core::Kind kind, core::State state);
std::string_view standing(const core::EventPage &page);
inline constexpr std::string_view kLive = "live";

/// Whether `text` matches `pattern`, in which `*` matches any characters.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace await::wire
