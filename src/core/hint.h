#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// What is PUBLISHed when a job has changed: "this job may have an event of this number". Unverified, anybody
/// may have said it, unless it is signed (wire/signed_hint.h). Points into the message.
struct Hint {
  Uuid job;
  int seq;
  std::string_view type;
  std::string_view head;       ///< what is signed beside the payload: version, job, seq, type
  std::string_view signature;  ///< base64url; empty: thin
  std::string_view payload;    ///< JSON: what await.hint() says of the event and the job
};

/// Version 1: "1 <job> <seq> <type>[ <signature> <payload>]", as await.hint() in
/// sql/functions/worker/hint.sql writes it. This is the thin form.
std::string write_hint(const Uuid &job, int seq, std::string_view type);
/// Nothing where the message is somebody else's, or of a later version.
std::optional<Hint> read_hint(std::string_view message);

}  // namespace await::core
