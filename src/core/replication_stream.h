#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await::core {

/// A position in the write-ahead log: PostgreSQL's pg_lsn.
using Lsn = std::uint64_t;

/// Parses the form `16/B374D848`. Empty if it is anything else.
std::optional<Lsn> parse_lsn(std::string_view text);
std::string format_lsn(Lsn lsn);

/// A message of the server in a replication stream. Source: PostgreSQL manual, 55.4.
struct StreamMessage {
  /// A message of the output plugin; empty in a keepalive.
  std::string_view payload;
  /// Of a keepalive: everything before it has been sent. 0 in data.
  Lsn position = 0;
  /// The server ends the connection if it is not answered soon.
  bool wants_reply = false;
};

/// Decodes the content of a CopyData message. Empty if it is malformed. The payload lies within `message`.
std::optional<StreamMessage> decode_stream_message(std::string_view message);

/// The client's answer: everything before `position` has been received, and need not be kept for it.
/// @param unix_us  microseconds since 1970
/// @param wants_reply  the server is to send a keepalive at once
std::string encode_stream_status(Lsn position, std::int64_t unix_us, bool wants_reply);

}  // namespace await::core
