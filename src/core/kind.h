#pragma once

#include "base/ids.h"

namespace await::core {

/// The kinds of channels. The history of a job is complete and ends; a topic keeps its newest events only and
/// does not end; a user's channel has the events of all jobs of the user.
enum class Kind { job, topic, user };

/// The kind that an id is of: jobs have a UUIDv7; the ids of topics and users are made of their names, with a
/// time later than any other (await.topic_id() and await.user_id() in sql/).
inline Kind kind_of(const Uuid &id) {
  if (id.is_v7())
    return Kind::job;
  return id.raw()[3] == 0xff ? Kind::topic : Kind::user;
}

}  // namespace await::core
