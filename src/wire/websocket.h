#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Close codes (RFC 6455 §7.4) that we send; from 4000 on they are ours.
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

/// Whether it is what a client sends as Sec-WebSocket-Key: 16 bytes in base64.
bool is_websocket_key(std::string_view key);
/// The Sec-WebSocket-Accept that answers it (RFC 6455 §4.2.2).
std::string websocket_accept(std::string_view key);

/// Whole frames of a server, which does not mask.
std::string websocket_text(std::string_view text);
std::string websocket_ping();
std::string websocket_close(std::uint16_t code, std::string_view reason);

/// Reads what a client sends: fragments, control frames between them, UTF-8, masks, limits. libwslay does it;
/// its 4 KB are there only while something has come in part, and so is the message: one string that is never
/// longer than a message may be, whatever the number of its fragments.
class WebSocketReader {
 public:
  /// Who is told. Must not destroy the reader before feed() has returned.
  class Listener {
   public:
    virtual void text(std::string_view message) = 0;
    virtual void binary() = 0;
    /// Has to be sent: pongs, as many as came in a row, and the close frame that answers the client's or
    /// refuses what it sent.
    virtual void reply(std::string_view frames) = 0;

   protected:
    ~Listener() = default;
  };

  WebSocketReader();
  ~WebSocketReader();

  /// Takes bytes as they come.
  /// @param most  a longer message is refused (1009), by its head or by that of the fragment that is too much
  /// @return  nothing: it goes on. Else the connection is over once all replies are sent: 0: the client has
  ///   closed it; the code with which it was refused
  std::optional<std::uint16_t> feed(std::string_view bytes, std::size_t most, Listener &listener);
  /// Bytes that an unfinished message takes.
  std::size_t held() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace await::wire
