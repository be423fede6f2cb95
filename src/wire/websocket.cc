#include "wire/websocket.h"

#include <openssl/evp.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kMask = 4;

/// A final frame's first bytes.
std::string head(std::uint8_t opcode, std::size_t length) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  int bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
  out += static_cast<char>(bytes == 0 ? length : bytes == 2 ? 126 : 127);
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(length >> shift & 0xff);
  return out;
}

std::size_t head_size(std::uint64_t length) {
  return 2 + (length < 126 ? 0 : length < 65536 ? 2 : 8) + kMask;
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

/// A libwslay context, and how much of what it was fed is whole frames.
struct WebSocketReader::State {
  wslay_event_context_ptr context = nullptr;
  std::string_view bytes;  // not taken yet
  std::uint64_t fed = 0;
  std::uint64_t framed = 0;   // bytes of all frames that have begun
  bool in_message = false;    // a fragment has come and not its last
  std::uint16_t refusal = 0;  // what libwslay would not say of a frame
  Listener *listener = nullptr;

  State() {
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = receive;
    callbacks.send_callback = send;
    callbacks.on_frame_recv_start_callback = begin_frame;
    callbacks.on_msg_recv_callback = message;
    if (wslay_event_context_server_init(&context, &callbacks, this) != 0)
      throw std::bad_alloc();
  }
  State(const State &) = delete;
  State &operator=(const State &) = delete;
  ~State() { wslay_event_context_free(context); }

  /// Nothing is half there: a fresh one would read on as well.
  bool at_rest() const { return fed == framed && !in_message; }

  static State &of(void *data) { return *static_cast<State *>(data); }
  static ssize_t receive(wslay_event_context_ptr context, std::uint8_t *to, std::size_t most, int,
                         void *data) {
    State &self = of(data);
    std::size_t n = std::min(most, self.bytes.size());
    if (n == 0) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    std::memcpy(to, self.bytes.data(), n);
    self.bytes.remove_prefix(n);
    self.fed += n;
    return static_cast<ssize_t>(n);
  }
  static ssize_t send(wslay_event_context_ptr, const std::uint8_t *bytes, std::size_t n, int, void *data) {
    of(data).listener->reply({reinterpret_cast<const char *>(bytes), n});
    return static_cast<ssize_t>(n);
  }
  static void begin_frame(wslay_event_context_ptr, const wslay_event_on_frame_recv_start_arg *frame,
                          void *data) {
    of(data).framed += head_size(frame->payload_length) + frame->payload_length;
    if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1)
      of(data).refusal = kProtocolError;  // half a code
    if (!wslay_is_ctrl_frame(frame->opcode))
      of(data).in_message = frame->fin == 0;
  }
  static void message(wslay_event_context_ptr context, const wslay_event_on_msg_recv_arg *what, void *data) {
    if (what->opcode == WSLAY_CONNECTION_CLOSE && what->msg_length > 2) {
      std::string reason(reinterpret_cast<const char *>(what->msg) + 2, what->msg_length - 2);
      std::replace(reason.begin(), reason.end(), '\0', ' ');
      if (!is_text(reason))  // libwslay looks at those only that come in one piece
        of(data).refusal = kInvalidText;
    }
    if (what->opcode == WSLAY_PING)
      wslay_event_send(context);  // its pong, which goes before the answers to what comes after
    if (what->opcode == WSLAY_TEXT_FRAME)
      of(data).listener->text({reinterpret_cast<const char *>(what->msg), what->msg_length});
    else if (what->opcode == WSLAY_BINARY_FRAME)
      of(data).listener->binary();
  }
};

WebSocketReader::WebSocketReader() = default;
WebSocketReader::~WebSocketReader() = default;

std::optional<std::uint16_t> WebSocketReader::feed(std::string_view bytes, std::size_t most,
                                                   Listener &listener) {
  if (!state_)
    state_ = std::make_unique<State>();
  State &state = *state_;
  wslay_event_config_set_max_recv_msg_length(state.context, most);
  state.bytes = bytes;
  state.listener = &listener;
  if (wslay_event_recv(state.context) != 0 && state.refusal == 0)
    state.refusal = kProtocolError;
  bool over = state.refusal != 0;
  std::uint16_t why = state.refusal;
  if (over) {
    listener.reply(websocket_close(why, ""));
  } else {
    over = wslay_event_send(state.context) != 0 || wslay_event_get_read_enabled(state.context) == 0;
    if (wslay_event_get_close_received(state.context) == 0)
      why = wslay_event_get_status_code_sent(state.context);
  }
  if (over || state.at_rest())
    state_.reset();
  return over ? std::optional(why) : std::nullopt;
}

}  // namespace await::wire
