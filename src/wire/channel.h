#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "core/job.h"
#include "core/kind.h"

namespace await::wire {

/// What a client can watch: `job:<id>`, `topic:<name>` or `user:<name>`. A topic is a history like a job's,
/// without an end; a user's is made of the events of all of the user's jobs. Their ids are made of their
/// names, as await.topic_id() and await.user_id() make them.
struct Channel {
  Uuid id;
  std::string name;  ///< of a topic or a user
  core::Kind kind() const { return core::kind_of(id); }
  /// `job:<id>`, `topic:<name>`, `user:<name>`
  std::string text() const;
};
/// Nothing where it is none.
std::optional<Channel> parse_channel(std::string_view text);

/// 1 to 128 of A-Z a-z 0-9 _ . : / -
bool is_topic_name(std::string_view name);
/// 1 to 256 bytes of text: whatever await_owner may come to.
bool is_user_name(std::string_view name);
Uuid topic_id(std::string_view name);
Uuid user_id(std::string_view name);

core::Kind kind_of(const core::EventPage &page);
/// The channel that a page is of.
std::string channel_of(const core::EventPage &page);
/// Of a topic's page.
std::string topic_name(const core::EventPage &page);
/// Where it stands, in a word: the job's state; of all else, "live".
std::string_view standing(core::Kind kind, core::State state);
std::string_view standing(const core::EventPage &page);
inline constexpr std::string_view kLive = "live";

/// Whether `text` is of the pattern, in which `*` stands for anything.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace await::wire
