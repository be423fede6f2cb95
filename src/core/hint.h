#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// What is PUBLISHed when a job has changed: "this job may have an event of this number". Unverified:
/// anybody may have said it.
struct Hint {
  Uuid job;
  int seq;
};

/// Version 1: "1 <job> <seq> <type>", as await.hint() in sql/004_worker.sql writes it too.
std::string write_hint(const Uuid &job, int seq, std::string_view type);
/// Nothing where the message is somebody else's, or of a later version.
std::optional<Hint> read_hint(std::string_view message);

}  // namespace await::core
