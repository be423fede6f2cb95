#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace await::worker {

/// A line that a command writes to descriptor 3: an event, or the progress.
struct Note {
  std::optional<std::string> type;  ///< of the event; empty: progress
  std::optional<std::string> data;  ///< JSON as the command spelled it
  std::optional<std::string> id;    ///< with which the event is stored once
};

/// Reads {"type": …, "data": …, "id": …} as an event, and any other JSON object as progress. Empty if the
/// line is no JSON object. What JSON or PostgreSQL do not allow in a text is repaired first: NUL, bytes that
/// are not UTF-8, unpaired surrogates and control characters.
std::optional<Note> parse_note(std::string_view line);

}  // namespace await::worker
