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

/// Where a job stands. The last four are endings and never change.
enum class State : std::uint8_t { pending, processing, completed, failed, cancelled, expired };

std::string_view state_name(State state);
std::optional<State> parse_state(std::string_view name);
bool is_ending(State state);
/// Whether a history may go from one state to the other; `sql/` keeps the same rule.
bool may_follow(State from, State to);

/// The client's word that a request with this key is the same as another, of the same owner and queue.
struct IdempotencyKey {
  std::string key;
  std::string fingerprint;  ///< 32 bytes; another one under the same key is another request
  std::int64_t keep_ms = 0;
};

/// A submission on its way to the store.
struct NewJob {
  Uuid id;
  std::string queue;
  int priority = 0;
  std::optional<std::string> owner;
  std::optional<std::string> correlation_id;
  std::optional<std::string> trace;
  std::string content_type;
  std::optional<std::string> file_name;
  std::optional<std::string> params;   ///< JSON text
  std::optional<std::string> payload;  ///< nothing: its pieces were stored before
  std::int64_t payload_size = 0;
  std::optional<std::int64_t> lease_ms;
  std::optional<int> max_attempts;
  std::optional<std::int64_t> delay_ms;
  std::optional<std::int64_t> deadline_ms;
  std::optional<IdempotencyKey> idempotency;
};

/// What a worker made of a job.
struct JobResult {
  int status = 200;
  int attempt = 0;
  std::string type;
  std::optional<std::string> name;
  std::int64_t size = 0;
  bool inlined = true;        ///< false: read it piece by piece
  std::optional<Bytes> body;  ///< only where it was asked for and is inline
};

/// A job as its newest event leaves it. Times are Unix milliseconds.
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
};

/// One change of a job.
struct Event {
  /// Whose it is, among the events of all of a user's jobs.
  struct Origin {
    Uuid job;
    std::optional<std::string> correlation_id;
    std::int64_t eid = 0;  ///< orders them
  };
  int seq = 0;
  std::string type;
  std::int64_t at = 0;
  std::optional<std::string> data;  ///< JSON text
  std::optional<JobResult> result;  ///< of "completed"
  std::optional<Origin> origin;     ///< in a user's page only
};

/// The events of one history after some point, and where it stands now.
struct EventPage {
  /// Of a page made of many jobs' events.
  struct Merged {
    Snapshot until;  ///< read up to then
    bool complete;   ///< false: there is more up to then than one read may hold
    bool lost;       ///< where it was to begin is no longer kept
  };
  Uuid job;  ///< or the topic's id, core/kind.h; of a user's page: none
  std::optional<std::string> owner;
  std::optional<std::string> correlation_id;
  std::int64_t created_at = 0;
  int last_seq = 1;
  int base =
      1;  ///< what the first event that ever was follows: more than 1 of a topic that went and came back
  State state = State::pending;
  std::vector<Event> events;
  std::optional<Merged> merged;  ///< of a user's channel
  /// For whoever encodes the page, so that it is encoded once for all its readers. Whoever changes `events`
  /// after that discards it.
  mutable Attachment encodings;
};

/// Event 1, which is the job's own row and so in no page.
Event first_event(const EventPage &page);

}  // namespace await::core
