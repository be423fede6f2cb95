#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "core/job.h"

namespace await::wire {

/// What a client can watch: `job:<id>` or `topic:<name>`. A topic is a history like a job's, without an end;
/// its id is made of its name, as await.topic_id() makes it.
struct Channel {
  Uuid id;
  bool topic = false;
};
/// Nothing where it is none.
std::optional<Channel> parse_channel(std::string_view text);

/// 1 to 128 of A-Z a-z 0-9 _ . : / -
bool is_topic_name(std::string_view name);
Uuid topic_id(std::string_view name);
/// Ids of topics are no UUIDv7.
inline bool is_topic(const Uuid &id) { return !id.is_v7(); }

/// The channel that a page is of.
std::string channel_of(const core::EventPage &page);
/// Of a topic's page.
std::string topic_name(const core::EventPage &page);
/// Where it stands, in a word: the job's state; of a topic, "live".
std::string_view standing(const core::EventPage &page);
/// A topic to which nothing was ever published.
core::EventPage silent(const Uuid &id, std::string_view channel);

/// Whether `text` is of the pattern, in which `*` stands for anything.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace await::wire
