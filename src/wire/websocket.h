#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Close codes that are sent (RFC 6455 §7.4). Codes from 4000 on are specific to this module.
enum CloseCode : std::uint16_t {
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupported = 1003,
  kInvalidText = 1007,
  kPolicy = 1008,
  kTooLarge = 1009,
  kRestart = 1012,
  kTryLater = 1013,
  kBadGateway = 1014,
  kUnauthenticated = 4401,
  kForbidden = 4403,
  kNotFound = 4404,
};

/// Whether `key` is a valid Sec-WebSocket-Key: 16 bytes in base64.
bool is_websocket_key(std::string_view key);
/// The Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
std::string websocket_accept(std::string_view key);

/// Complete frames of a server, without masking.
std::string websocket_text(std::string_view text);
std::string websocket_ping();
std::string websocket_close(std::uint16_t code, std::string_view reason);

/// Parses what a client sends: fragments, control frames between them, masks, UTF-8, and limits. Uses
/// libwslay. Its 4 KB of memory, and the message, exist only while a message is incomplete. The message is
/// one string that is never longer than the limit, regardless of the number of fragments.
class WebSocketReader {
 public:
  /// Receives the messages. Must not destroy the reader before feed() has returned.
  class Listener {
   public:
    virtual void on_text(std::string_view message) = 0;
    virtual void on_binary() = 0;
    /// Frames to send: pongs, for all pings in a row, and the close frame that answers that of the client or
    /// rejects its message.
    virtual void on_reply(std::string_view frames) = 0;

   protected:
    ~Listener() = default;
  };

  WebSocketReader();
  ~WebSocketReader();

  /// Processes received bytes.
  /// @param most  maximum size of a message; a longer one is rejected (1009) when the header of a frame or
  ///   fragment announces it
  /// @return empty if the connection stays open. Else it must be closed when all replies have been sent: 0 if
  ///   the client closed it, or the close code with which it was rejected
  std::optional<std::uint16_t> feed(std::string_view bytes, std::size_t most, Listener &listener);
  /// The number of bytes used by an incomplete message.
  std::size_t held() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace await::wire
