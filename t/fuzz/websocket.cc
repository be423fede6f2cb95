// WebSocket frames as a client may send them: whatever the bytes, and wherever the network cuts them, the
// same is understood and the same is answered; frames built by the rules are understood as a parser written
// here does.

#include "wire/websocket.h"

#include <string>
#include <vector>

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/socket_protocol.h"

namespace {

using namespace await;
using fuzz::must;

struct Heard : wire::WebSocketReader::Listener {
  void on_text(std::string_view message) override { texts.emplace_back(message); }
  void on_binary() override { ++binaries; }
  void on_reply(std::string_view frames) override { replies += frames; }
  bool operator==(const Heard &other) const {
    return texts == other.texts && binaries == other.binaries && replies == other.replies &&
           open == other.open;
  }
  std::vector<std::string> texts;
  int binaries = 0;
  std::string replies;
  bool open = true;
};

constexpr std::size_t kMost = 2000;

Heard hear(std::string_view bytes, const std::vector<std::size_t> &cuts) {
  Heard heard;
  wire::WebSocketReader reader;
  std::size_t i = 0;
  while (heard.open && !bytes.empty()) {
    std::size_t n = cuts.empty() ? bytes.size() : std::min(bytes.size(), 1 + cuts[i++ % cuts.size()]);
    heard.open = !reader.feed(bytes.substr(0, n), kMost, heard);
    must(reader.held() <= kMost, "more is held than a message may have");
    bytes.remove_prefix(n);
  }
  return heard;
}

std::string frame(unsigned opcode, bool fin, std::string_view payload, const char (&mask)[4]) {
  std::string out(1, static_cast<char>((fin ? 0x80 : 0) | opcode));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  out.append(mask, 4);
  for (std::size_t i = 0; i < payload.size(); ++i)
    out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return out;
}

/// Frames by the rules, and what they say.
void build(fuzz::Input &in, std::string &bytes, Heard &meant) {
  std::string message;
  bool open = false;
  while (!in.empty() && meant.texts.size() < 8) {
    unsigned dice = in.byte();
    char mask[4] = {static_cast<char>(in.byte()), 'a', static_cast<char>(dice), '\x7f'};
    std::string_view payload = in.text().substr(0, 200);
    if (!is_text(payload))
      payload = "plain";
    if (dice % 4 == 0) {
      payload = payload.substr(0, 125);
      bytes += frame(9, true, payload, mask);
      meant.replies += static_cast<char>(0x8a);
      meant.replies += static_cast<char>(payload.size());
      meant.replies += payload;
      continue;
    }
    bool fin = dice % 4 == 1;
    if (message.size() + payload.size() > kMost)
      return;
    bytes += frame(open ? 0 : 1, fin, payload, mask);
    message += payload;
    open = !fin;
    if (fin)
      meant.texts.push_back(std::exchange(message, ""));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  fuzz::Input in(data, size);
  std::vector<std::size_t> cuts;
  for (unsigned n = in.byte() % 6; n > 0; --n)
    cuts.push_back(in.byte());

  Heard whole = hear(in.rest(), {});
  Heard pieces = hear(in.rest(), cuts);
  must(whole.texts == pieces.texts && whole.binaries == pieces.binaries,
       "bytes that mean something else in pieces");
  // of a frame that is refused, libwslay may see one fault or the other first, and early or late
  must(!whole.open || whole == pieces, "an answer that depends on where the bytes are cut");
  for (const std::string &text : whole.texts) {
    must(is_text(text) || text.find('\0') != text.npos, "a text that is none");
    must(text.size() <= kMost, "a text that is too long");
    wire::parse_request(text);
  }
  must(whole.open || whole.replies.find('\x88') != whole.replies.npos, "closed without a word");

  wire::SocketRequest request = wire::parse_request(in.rest());
  must(request.op != wire::SocketRequest::malformed || *request.why != '\0', "refused without a reason");

  std::string bytes;
  Heard meant;
  build(in, bytes, meant);
  must(hear(bytes, cuts) == meant, "frames by the rules that are not understood");
  return 0;
}
