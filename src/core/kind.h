#pragma once

#include "base/ids.h"

namespace await::core {

/// The kinds of channels. The history of a job or a batch is complete and ends; a topic keeps its newest
/// events only and does not end; a user's channel has the events of all jobs and batches of the user.
enum class Kind { job, batch, topic, user };

/// Whether the history of a channel of this kind ends, and is kept for a time.
inline bool ends(Kind kind) { return kind == Kind::job || kind == Kind::batch; }

/// What a client is told of one that does not exist, or is not the client's.
constexpr const char *absence(Kind kind) {
  return kind == Kind::job     ? "There is no such job."
         : kind == Kind::batch ? "There is no such batch."
                               : "There is no such channel.";
}

/// The kind that an id is of: jobs have a UUIDv7, batches a UUIDv8 (await.is_batch() in sql/); the ids of
/// topics and users are made of their names, with a time later than any other (await.topic_id() and
/// await.user_id()).
inline Kind kind_of(const Uuid &id) {
  if (id.is_v7())
    return Kind::job;
  if (id.is_v8() && id.raw()[0] != 0xff)
    return Kind::batch;
  return id.raw()[3] == 0xff ? Kind::topic : Kind::user;
}

}  // namespace await::core
