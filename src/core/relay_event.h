#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace await::core {

/// An event of any job, batch or topic, as the relay hands it on. The event "pending" of a job has seq 1.
struct RelayEvent {
  Uuid job;  ///< or the id of a batch or a topic (core/kind.h)
  int seq = 1;
  std::string type;
  std::string state;
  int attempt = 0;
  std::int64_t at_ms = 0;  ///< Unix milliseconds, by the clock of the database
  std::string queue;       ///< ".batch" for a batch, empty for a topic
  std::optional<std::string> topic;
  std::optional<std::string> owner;
  std::optional<std::string> batch;
  std::optional<std::string> phase;
  std::optional<std::string> correlation_id;
  std::optional<std::string> trace;   ///< W3C traceparent
  std::optional<std::string> data;    ///< JSON text
  std::optional<std::string> result;  ///< JSON text of the member "result" without "value", of "completed"
  std::optional<std::string> value;   ///< of a small JSON result: the JSON text
  /// What await.hint() says is to be published of it: channel and message. Empty if nobody has asked.
  std::vector<std::pair<std::string, std::string>> hints;

  /// The same for each delivery of the event: "<job>:<seq>". Receivers drop what they have had by it.
  std::string id() const { return job.text() + ":" + std::to_string(seq); }
  /// Of what can be large.
  std::size_t bytes() const { return (data ? data->size() : 0) + (value ? value->size() : 0); }
};

}  // namespace await::core
