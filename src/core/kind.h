#pragma once

#include "base/ids.h"

namespace await::core {

/// What a history is of. A job's is kept whole and ends; a topic's has no end and keeps its newest events
/// only; a user's is made of those of all of the user's jobs.
enum class Kind { job, topic, user };

/// Told by the id: a job's is a UUIDv7; the others' are made of their names, behind every time there is
/// (await.topic_id() and await.user_id() in sql/).
inline Kind kind_of(const Uuid &id) {
  if (id.is_v7())
    return Kind::job;
  return id.raw()[3] == 0xff ? Kind::topic : Kind::user;
}

}  // namespace await::core
