#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// The message that is published when a job has changed: the job may have an event of this number. Not
/// verified, unless it is signed (wire/signed_hint.h). Its members point into the message.
struct Hint {
  Uuid job;
  int seq;
  std::string_view type;
  std::string_view head;       ///< what is signed beside the payload: version, job, seq, type
  std::string_view signature;  ///< base64url; empty if the hint is not signed
  std::string_view payload;    ///< JSON: the event and the state of the job
};

/// Version 1: "1 <job> <seq> <type>[ <signature> <payload>]", as await.hint() in
/// sql/functions/worker/hint.sql writes it. write_hint() writes it unsigned.
std::string write_hint(const Uuid &job, int seq, std::string_view type);
/// Empty if the message is not a hint, or of a later version.
std::optional<Hint> read_hint(std::string_view message);

}  // namespace await::core
