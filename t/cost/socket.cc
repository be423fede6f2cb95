// Frames and messages of a WebSocket's client.

#include "cost/measure.h"
#include "wire/socket_protocol.h"
#include "wire/websocket.h"

namespace await::cost {
namespace {

constexpr std::size_t kMost = 65536;  // await_max_frame

struct Client : wire::WebSocketReader::Listener {
  void on_text(std::string_view message) override { keep(&message); }
  void on_binary() override {}
  void on_reply(std::string_view frames) override { keep(&frames); }
};

struct Talker : Client {
  void on_text(std::string_view message) override {
    auto request = wire::parse_request(message);
    keep(&request);
  }
};

template <class Listener>
void take(std::string_view bytes, std::size_t piece) {
  Listener client;
  wire::WebSocketReader reader;
  in_pieces(bytes, piece, [&](std::string_view some) { return !reader.feed(some, kMost, client); });
}

void read(std::string_view bytes) { take<Client>(bytes, 16384); }
void byte_by_byte(std::string_view bytes) { take<Client>(bytes, 1); }
void talk(std::string_view bytes) { take<Talker>(bytes, 16384); }

/// Masked with zeros.
std::string frame(unsigned first, std::string_view payload) {
  std::string out(1, static_cast<char>(first));
  if (payload.size() < 126)
    out += static_cast<char>(0x80 | payload.size());
  else
    out.append({static_cast<char>(0xfe), static_cast<char>(payload.size() >> 8),
                static_cast<char>(payload.size() & 0xff)});
  return out.append(4, '\0').append(payload);
}

/// A message that has no end.
std::string fragments(std::size_t n, std::string_view payload, unsigned first = 0x01) {
  return frame(first, payload) + repeat(n - 1, frame(0x00, payload));
}

/// As large as a frame with 16 bits of length.
std::string message(const std::string &text) { return frame(0x81, text); }

}  // namespace

std::vector<Case> socket_cases() {
  // the message, which grows by copying, and libwslay's context
  constexpr std::size_t kSocket = 2 * kMost + 16384;
  auto of = [](unsigned first, const char *payload) {
    return [=](std::size_t n) { return repeat(n, frame(first, payload)); };
  };
  auto in_fragments = [](const char *payload) {
    return [=](std::size_t n) { return fragments(n, payload); };
  };
  auto keys = [](std::size_t n) {
    return message("{" + each(n, [](auto i) { return "\"" + std::to_string(i) + "\":1,"; }) +
                   "\"op\":\"ping\"}");
  };
  auto subscribe = [](std::size_t n) {
    return message(R"({"op":"subscribe","channel":"topic:)" + std::string(n, 't') + R"(","cursor":")" +
                   std::string(n, '.') + "\"}");
  };
  return {
      {"socket: fragments of a byte", 10000, in_fragments("x"), read, at_most(kSocket)},
      {"socket: fragments of a byte, too many", 70000, in_fragments("x"), read, at_most(kSocket)},
      {"socket: fragments of nothing", 20000, in_fragments(""), read, at_most(16384)},
      {"socket: fragments of a byte, byte by byte", 2000, in_fragments("x"), byte_by_byte, at_most(kSocket)},
      {"socket: binary fragments", 10000, [](std::size_t n) { return fragments(n, "x", 0x02); }, read,
       at_most(16384)},
      {"socket: fragments with pings between", 2000,
       [](std::size_t n) { return frame(1, "x") + repeat(n, frame(0, "x") + frame(0x89, "")); }, read,
       at_most(kSocket)},
      {"socket: pings", 10000, of(0x89, ""), read, at_most(65536)},
      {"socket: pings with bytes", 2000, of(0x89, "0123456789012345678901234567890123456789"), read,
       at_most(65536)},
      {"socket: pongs", 10000, of(0x8a, ""), read, at_most(16384)},
      {"socket: empty messages", 10000, of(0x81, ""), read, at_most(16384)},
      {"socket: messages", 2000, of(0x81, "{\"op\":\"ping\"}"), talk, at_most(16384)},
      {"socket: messages that are none", 2000, of(0x81, "[[[[[[[["), talk, at_most(16384)},
      {"socket: a message of many members", 2000, keys, talk, at_most(1 << 20)},
      {"socket: a message in depth", 1000, [](std::size_t n) { return message(repeat(n, "[")); }, talk,
       at_most(1 << 20)},
      {"socket: a long name and cursor", 8000, subscribe, talk, at_most(1 << 20)},
      {"socket: half characters", 10000, [](std::size_t n) { return message(repeat(n, "\xc3\xa9")); }, read,
       at_most(kSocket)},
  };
}

}  // namespace await::cost
