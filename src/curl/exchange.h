#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace await::curl {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request, and the limits of its answer.
struct Request {
  std::string method = "GET";
  std::string url;  ///< http or https, without user information; sent as it is, also with dot segments
  Headers headers;  ///< all that are sent, but Host (unless given), and those that frame the body
  std::string body;
  /// The size of a body that is streamed instead, by Listener::on_room().
  std::optional<std::int64_t> streamed;
  std::int64_t connect_ms = 5'000;  ///< to resolve the name, to connect, and for TLS
  std::int64_t whole_ms = 15'000;   ///< for everything, with the time in which the listener holds it up
  std::size_t max_head =
      64 * 1024;  ///< of status line and headers, with those of interim answers and trailers
  std::int64_t max_body = 16 * 1024;
  /// A body that is larger than `max_body` is cut there, and the answer is good; else it ends with
  /// `too_large`.
  bool cut_body = false;
  bool connect_only = false;  ///< sends nothing: the exchange ends when there is a connection
};

/// The final status of an answer and its headers; not those of interim answers, and no trailers.
struct Head {
  int status = 0;
  Headers headers;
  /// The value of the first header with this name, without regard to case.
  const std::string *find(std::string_view name) const;
};

/// Why there is no whole answer.
enum class Failure {
  none,
  resolve,    ///< the name has no address
  forbidden,  ///< the AddressGuard refused all of its addresses
  connect,    ///< no connection, or not in time
  tls,        ///< no TLS connection, or a certificate that is not valid
  timeout,    ///< there was a connection
  cut,        ///< the connection ended before the answer did
  garbage,    ///< what came is not HTTP
  too_large,  ///< head or body
};

std::string_view failure_name(Failure failure);

/// The pause that a Retry-After asks for (RFC 9110 §10.2.3): seconds, or a date. Empty if there is none, or
/// if it is malformed; at most `most_ms`.
std::optional<std::int64_t> retry_after_ms(const Head &head, std::int64_t unix_ms, std::int64_t most_ms);

struct Ending {
  Failure failure = Failure::none;
  std::string detail;  ///< for a log; names the address or the host where that helps
};

/// What an exchange tells. All calls come from the event loop, never from within a call of ours to it.
class Listener {
 public:
  /// The final status and the headers have come.
  virtual void on_head(Head head) = 0;
  /// A part of the answer's body. @return whether to go on; false: not before Exchange::resume_body()
  virtual bool on_piece(std::string_view piece) = 0;
  /// Wants bytes of a streamed body, from this offset: usually the next ones; the first ones again if the
  /// server had closed a connection that was kept. @return how many were written to `room`; 0: none yet, and
  /// Exchange::resume_upload() will be called
  virtual std::size_t on_room(std::int64_t offset, std::span<char> room);
  /// The last call.
  virtual void on_end(const Ending &ending) = 0;

 protected:
  ~Listener() = default;
};

class Transfer;

/// A request in flight. Destroying it ends it, without a call; also within any call to its listener.
class Exchange {
 public:
  explicit Exchange(Transfer &transfer);
  Exchange(const Exchange &) = delete;
  Exchange &operator=(const Exchange &) = delete;
  ~Exchange();

  void resume_body();
  void resume_upload();

 private:
  friend class Transfer;
  Transfer *transfer_;  // null: it has ended
};

}  // namespace await::curl
