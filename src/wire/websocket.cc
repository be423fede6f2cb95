#include "wire/websocket.h"

#include <openssl/evp.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kMask = 4;

/// The first bytes of a final frame.
std::string head(std::uint8_t opcode, std::size_t length) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  int bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
  out += static_cast<char>(bytes == 0 ? length : bytes == 2 ? 126 : 127);
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(length >> shift & 0xff);
  return out;
}

bool is_control(std::string_view frame) {
  int opcode = frame.empty() ? 0 : frame[0] & 0x0f;
  return wslay_is_ctrl_frame(opcode);  // a macro that does not put its argument in parentheses
}

/// How many bytes the payload length has in the header of a frame, after the first two.
std::size_t length_size(std::string_view frame) {
  int length = frame[1] & 0x7f;
  return length == 126 ? 2 : length == 127 ? 8 : 0;
}

/// The payload length in the header of a frame. Empty until that part of the header has been received.
std::optional<std::uint64_t> length_in(std::string_view frame) {
  if (frame.size() < 2)
    return std::nullopt;
  std::size_t bytes = length_size(frame);
  if (bytes == 0)
    return frame[1] & 0x7f;
  if (frame.size() < 2 + bytes)
    return std::nullopt;
  std::uint64_t announced = 0;
  for (unsigned char c : frame.substr(2, bytes))
    announced = announced << 8 | c;
  return announced;
}

/// How many of the bytes at the beginning of a frame belong to it; of a frame that libwslay rejects, all.
/// Empty: its header is incomplete, or it is a control frame and incomplete.
std::optional<std::uint64_t> frame_size(std::string_view bytes) {
  auto length = length_in(bytes);
  if (!length)
    return std::nullopt;
  if (*length >> 63 != 0 || (is_control(bytes) && *length > 125))
    return bytes.size();
  std::uint64_t head = 2 + length_size(bytes) + ((bytes[1] & 0x80) != 0 ? kMask : 0);
  if (bytes.size() < head + (is_control(bytes) ? *length : 0))
    return std::nullopt;
  return head + *length;
}

}  // namespace

bool is_websocket_key(std::string_view key) {
  auto is_base64 = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, is_base64);
}

std::string websocket_accept(std::string_view key) {
  std::string text = std::string(key) + std::string(kGuid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::bad_alloc();
  std::array<unsigned char, 32> out{};
  int n = EVP_EncodeBlock(out.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<char *>(out.data()), static_cast<std::size_t>(n)};
}

std::string websocket_text(std::string_view text) { return head(WSLAY_TEXT_FRAME, text.size()).append(text); }

std::string websocket_ping() { return head(WSLAY_PING, 0); }

std::string websocket_close(std::uint16_t code, std::string_view reason) {
  reason = reason.substr(0, 123);
  std::string out = head(WSLAY_CONNECTION_CLOSE, reason.size() + 2);
  out += static_cast<char>(code >> 8);
  out += static_cast<char>(code & 0xff);
  return out.append(reason);
}

/// A libwslay context, and the incomplete message. libwslay would store each fragment in a separate block, so
/// its buffering is disabled, and fragments are collected here. It gets headers and control frames in one
/// piece, because it checks the text of a close frame as if each piece were the first one.
struct WebSocketReader::State {
  wslay_event_context_ptr context = nullptr;
  std::string_view bytes;    // not processed yet
  std::string start;         // an incomplete header or control frame, at most 131 bytes
  std::uint64_t left = 0;    // bytes of the current frame that libwslay has not got yet
  std::string message;       // the received part of a text message
  std::uint64_t length = 0;  // of all its fragments that have started, also of a binary message
  std::uint64_t most = 0;
  std::string last_word;                      // payload of a close frame
  std::string replies;                        // not passed on yet
  std::uint8_t opcode = WSLAY_TEXT_FRAME;     // the message's
  std::uint8_t frame = WSLAY_TEXT_FRAME;      // of the current frame
  bool in_message = false;                    // a fragment has been received, but not the last one
  std::uint16_t refusal = 0;                  // an error of a frame that libwslay does not detect
  std::optional<std::string> accepted_close;  // the reply to a close code that libwslay does not support
  Listener *listener = nullptr;

  State() {
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = receive;
    callbacks.send_callback = send;
    callbacks.on_frame_recv_start_callback = begin_frame;
    callbacks.on_frame_recv_chunk_callback = take_chunk;
    callbacks.on_frame_recv_end_callback = end_frame;
    callbacks.on_msg_recv_callback = end_message;
    if (wslay_event_context_server_init(&context, &callbacks, this) != 0)
      throw std::bad_alloc();
    wslay_event_config_set_no_buffering(context, 1);
  }
  State(const State &) = delete;
  State &operator=(const State &) = delete;
  ~State() { wslay_event_context_free(context); }

  /// Whether nothing is incomplete, so that the state can be discarded and created again.
  bool at_rest() const { return start.empty() && left == 0 && !in_message; }

  /// Sends pongs before the replies to later messages, all in one string.
  void hand_on() {
    if (!replies.empty())
      listener->on_reply(std::exchange(replies, {}));
  }

  /// Grows by doubling, but never beyond the maximum size of a message.
  void append(std::string_view chunk) {
    std::size_t need = message.size() + chunk.size();
    if (need > message.capacity()) {
      std::string larger;  // std::string itself would at least double
      larger.reserve(static_cast<std::size_t>(std::clamp<std::uint64_t>(2 * need, need, most)));
      message.swap(larger += message);
    }
    message += chunk;
  }

  /// A frame that makes the message too long is rejected by its header, before libwslay has more of it.
  bool refuse_too_long(std::string_view frame) {
    auto announced = is_control(frame) ? std::nullopt : length_in(frame);
    if (!announced || *announced >> 63 != 0 || (in_message ? length : 0) + *announced <= most)
      return false;
    refusal = kTooLarge;
    return true;
  }

  /// At the beginning of a frame: finds its size, which is then `left`. What came of it before goes to `to`,
  /// which has room for it. If not enough has come, it is kept.
  /// @return  how many bytes went to `to`
  std::size_t take_start(std::uint8_t *to) {
    std::optional<std::uint64_t> size;
    bool refused = false;
    if (start.empty()) {
      refused = refuse_too_long(bytes);
      size = frame_size(bytes);
      if (!size)
        start = std::exchange(bytes, {});
    } else {  // byte by byte, so that it has nothing of the next frame
      while (!(refused = refuse_too_long(start)) && !(size = frame_size(start)) && !bytes.empty()) {
        start += bytes.front();
        bytes.remove_prefix(1);
      }
    }
    if (refused)
      bytes = {};
    if (refused || !size)
      return 0;
    left = *size;
    std::memcpy(to, start.data(), start.size());
    return std::exchange(start, {}).size();
  }

  static State &of(void *data) { return *static_cast<State *>(data); }
  static ssize_t receive(wslay_event_context_ptr context, std::uint8_t *to, std::size_t most, int,
                         void *data) {
    State &self = of(data);
    std::size_t n = self.left == 0 ? self.take_start(to) : 0;
    if (n == 0) {
      n = std::min({most, self.bytes.size(), static_cast<std::size_t>(self.left)});
      if (n == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
      }
      std::memcpy(to, self.bytes.data(), n);
      self.bytes.remove_prefix(n);
    }
    self.left -= n;
    return static_cast<ssize_t>(n);
  }
  static ssize_t send(wslay_event_context_ptr, const std::uint8_t *bytes, std::size_t n, int, void *data) {
    of(data).replies.append(reinterpret_cast<const char *>(bytes), n);
    return static_cast<ssize_t>(n);
  }
  static void begin_frame(wslay_event_context_ptr, const wslay_event_on_frame_recv_start_arg *what,
                          void *data) {
    State &self = of(data);
    self.frame = what->opcode;
    if (wslay_is_ctrl_frame(what->opcode)) {
      if (what->opcode == WSLAY_CONNECTION_CLOSE && what->payload_length == 1)
        self.refusal = kProtocolError;  // incomplete code
      return;
    }
    if (!self.in_message) {
      self.opcode = what->opcode;
      self.length = 0;
    }
    self.length += what->payload_length;  // take_start() has refused what is too long
    self.in_message = what->fin == 0;
  }
  static void take_chunk(wslay_event_context_ptr, const wslay_event_on_frame_recv_chunk_arg *what,
                         void *data) {
    State &self = of(data);
    std::string_view chunk(reinterpret_cast<const char *>(what->data), what->data_length);
    if (self.refusal != 0)
      return;
    if (self.frame == WSLAY_CONNECTION_CLOSE)
      self.last_word += chunk;
    else if (!wslay_is_ctrl_frame(self.frame) && self.opcode == WSLAY_TEXT_FRAME)
      self.append(chunk);
  }
  static void end_frame(wslay_event_context_ptr, void *data) {
    State &self = of(data);
    if (self.frame != WSLAY_CONNECTION_CLOSE || self.last_word.size() < 2)
      return;
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(self.last_word[i]); };
    auto code = static_cast<std::uint16_t>(byte(0) << 8 | byte(1));
    std::string reason = self.last_word.substr(2);
    std::replace(reason.begin(), reason.end(), '\0', ' ');
    if (!is_text(reason))  // libwslay checks only those that arrive in one piece
      self.refusal = kInvalidText;
    else if (code >= kRestart && code <= kBadGateway)  // registered after libwslay was written
      self.accepted_close = websocket_close(code, std::string_view(self.last_word).substr(2));
  }
  static void end_message(wslay_event_context_ptr context, const wslay_event_on_msg_recv_arg *what,
                          void *data) {
    State &self = of(data);
    if (self.refusal != 0)
      return;
    if (what->opcode == WSLAY_PING)
      wslay_event_send(context);  // its pong
    if (what->opcode != WSLAY_TEXT_FRAME && what->opcode != WSLAY_BINARY_FRAME)
      return;
    self.hand_on();
    std::string message = std::exchange(self.message, {});
    if (what->opcode == WSLAY_TEXT_FRAME)
      self.listener->on_text(message);
    else
      self.listener->on_binary();
  }
};

WebSocketReader::WebSocketReader() = default;
WebSocketReader::~WebSocketReader() = default;

std::size_t WebSocketReader::held() const { return state_ ? state_->message.capacity() : 0; }

std::optional<std::uint16_t> WebSocketReader::feed(std::string_view bytes, std::size_t most,
                                                   Listener &listener) {
  if (!state_)
    state_ = std::make_unique<State>();
  State &state = *state_;
  wslay_event_config_set_max_recv_msg_length(state.context, most);
  state.most = most;
  state.bytes = bytes;
  state.listener = &listener;
  if (wslay_event_recv(state.context) != 0 && state.refusal == 0)
    state.refusal = kProtocolError;
  bool closed = wslay_event_get_read_enabled(state.context) == 0;
  bool over = state.refusal != 0 || state.accepted_close;
  std::uint16_t why = state.refusal;
  if (state.refusal != 0) {
    state.replies += websocket_close(why, "");
  } else if (state.accepted_close) {
    state.replies += *state.accepted_close;
  } else {
    over = wslay_event_send(state.context) != 0 || closed;
    if (wslay_event_get_close_received(state.context) == 0)
      why = wslay_event_get_status_code_sent(state.context);
  }
  state.hand_on();
  if (over || state.at_rest())
    state_.reset();
  return over ? std::optional(why) : std::nullopt;
}

}  // namespace await::wire
