#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/attachment.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "core/snapshot_cursor.h"

namespace await::core {

/// The state of a job. The last four are final.
enum class State : std::uint8_t { pending, processing, completed, failed, cancelled, expired };

std::string_view state_name(State state);
std::optional<State> parse_state(std::string_view name);
bool is_ending(State state);
/// Whether a job may change from one state to the other; sql/ has the same rule.
bool may_follow(State from, State to);

/// Marks requests of one owner and queue as repetitions of one another.
struct IdempotencyKey {
  std::string key;
  std::string fingerprint;  ///< 32 bytes; differs for a different request with the same key
  std::int64_t keep_ms = 0;
};

/// How many jobs may wait in a queue, with those that are about to be stored; otherwise nothing is stored.
/// Empty: any number.
struct PendingLimits {
  std::optional<int> max_pending;
  std::optional<int> max_pending_per_owner;
};

/// A submission on its way to the store.
struct NewJob {
  Uuid id;
  std::string queue;
  std::optional<std::string> phase;  ///< of a job in a batch
  int priority = 0;
  std::optional<std::string> owner;
  std::optional<std::string> correlation_id;
  std::optional<std::string> trace;
  std::string content_type;
  std::optional<std::string> file_name;
  std::optional<std::string> params;   ///< JSON text
  std::optional<std::string> payload;  ///< empty: it was stored in chunks before
  std::int64_t payload_size = 0;
  std::optional<std::int64_t> lease_ms;
  std::optional<int> max_attempts;
  std::optional<std::int64_t> delay_ms;
  std::optional<std::int64_t> deadline_ms;
  std::optional<IdempotencyKey> idempotency;
  PendingLimits limits;
  std::optional<std::string> webhook;  ///< where its events go: JSON text (wire/webhook_target.h)
};

/// The result of a job.
struct JobResult {
  int status = 200;
  int attempt = 0;
  std::string type;
  std::optional<std::string> name;
  std::int64_t size = 0;
  bool inlined = true;        ///< false: it is read in chunks
  std::optional<Bytes> body;  ///< only if it was asked for and is inline
};

/// A job after its newest event. Times are Unix milliseconds.
struct Job {
  Uuid id;
  std::string queue;
  std::optional<std::string> owner;
  State state = State::pending;
  int seq = 1;
  int attempt = 0;
  std::optional<std::string> correlation_id;
  std::optional<std::string> batch;
  std::optional<std::string> phase;
  std::optional<std::string> retry_of;
  std::optional<std::string> params;    ///< JSON text
  std::optional<std::string> progress;  ///< JSON text
  std::int64_t created_at = 0;
  std::int64_t updated_at = 0;
  std::optional<JobResult> result;   ///< when completed
  std::optional<std::string> error;  ///< JSON text, when failed
  /// JSON text, while the job waits for its next attempt: "retry_at", "max_attempts", "error" of the last one
  std::optional<std::string> waiting;
};

/// One change of a job.
struct Event {
  /// The job of an event in a user's channel.
  struct Origin {
    Uuid job;
    std::optional<std::string> correlation_id;
    std::int64_t eid = 0;  ///< the order of events in the channel
  };
  int seq = 0;
  std::string type;
  std::int64_t at = 0;
  std::optional<std::string> data;  ///< JSON text
  std::optional<JobResult> result;  ///< of the event "completed"
  std::optional<Origin> origin;     ///< in a user's channel only
};

/// Events of one channel after a position, and the current state of the channel.
struct EventPage {
  /// Of a user's channel.
  struct Merged {
    Snapshot until;  ///< everything that was committed then has been read
    bool complete;   ///< false: there are more events up to then
    bool lost;       ///< the start of the read is no longer kept
  };
  Uuid job;  ///< or the id of the topic (core/kind.h); null for a user's channel
  std::optional<std::string> owner;
  std::optional<std::string> correlation_id;
  std::int64_t created_at = 0;
  int last_seq = 1;
  /// The seq before the first event of a topic: more than 1 after it was purged and published again.
  int base = 1;
  State state = State::pending;
  std::vector<Event> events;
  std::optional<Merged> merged;  ///< of a user's channel
  /// Encodings of the page (wire/page_encodings.h), shared by all its readers. Code that changes `events`
  /// afterwards must discard them.
  mutable Attachment encodings;
};

/// Event 1 of a job. It is the row of the job itself, so no page contains it.
Event first_event(const EventPage &page);

}  // namespace await::core
