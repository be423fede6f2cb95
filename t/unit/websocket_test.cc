#include <gtest/gtest.h>

#include "wire/websocket.h"

namespace await::wire {
namespace {

TEST(WebSocket, frame_headers_have_the_length_in_the_shortest_form) {
  EXPECT_EQ(websocket_text("hi"), "\x81\x02hi");
  EXPECT_EQ(websocket_text(std::string(126, 'x')).substr(0, 4), std::string("\x81\x7e\x00\x7e", 4));
  EXPECT_EQ(websocket_text(std::string(65536, 'x')).substr(0, 10),
            std::string("\x81\x7f\0\0\0\0\0\x01\0\0", 10));
  EXPECT_EQ(websocket_ping(), std::string("\x89\0", 2));
  EXPECT_EQ(websocket_close(kRestart, "x"), std::string("\x88\x03\x03\xf4x"));
  EXPECT_EQ(websocket_close(1000, std::string(200, 'x')).size(), 127U)
      << "a control frame has 125 bytes at most";
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") << "RFC 6455 §1.3";
}

struct Heard : WebSocketReader::Listener {
  void on_text(std::string_view message) override { texts.emplace_back(message); }
  void on_binary() override { ++binaries; }
  void on_reply(std::string_view frames) override { replies.emplace_back(frames); }
  std::vector<std::string> texts;
  std::vector<std::string> replies;
  int binaries = 0;
};

std::string frame(unsigned first, std::string_view payload) {
  std::string out{static_cast<char>(first), static_cast<char>(0x80 | payload.size())};
  return out.append(4, '\0').append(payload);
}

constexpr std::size_t kMost = 1000;

TEST(WebSocketReader, a_fragment_of_one_byte_takes_one_byte) {
  // libwslay kept each in a block of its own: 94 times await_max_frame
  Heard heard;
  WebSocketReader reader;
  ASSERT_FALSE(reader.feed(frame(0x01, "x"), kMost, heard));
  for (std::size_t i = 1; i < kMost; ++i) {
    ASSERT_FALSE(reader.feed(frame(0x00, "x"), kMost, heard));
    ASSERT_GE(reader.held(), i);
    ASSERT_LE(reader.held(), kMost);
  }
  ASSERT_FALSE(reader.feed(frame(0x80, ""), kMost, heard));
  EXPECT_EQ(heard.texts, std::vector{std::string(kMost, 'x')});
  EXPECT_EQ(reader.held(), 0U) << "it is given back";
}

TEST(WebSocketReader, too_many_fragments_are_rejected) {
  for (unsigned first : {0x01U, 0x02U}) {
    Heard heard;
    WebSocketReader reader;
    std::string bytes = frame(first, "x");
    for (std::size_t i = 1; i < kMost; ++i)
      bytes += frame(0x00, "x");
    ASSERT_FALSE(reader.feed(bytes, kMost, heard));
    EXPECT_EQ(reader.feed(frame(0x00, "x"), kMost, heard), std::optional<std::uint16_t>(kTooLarge));
    EXPECT_EQ(heard.replies, std::vector{websocket_close(kTooLarge, "")});
    EXPECT_EQ(reader.held(), 0U);
  }
}

TEST(WebSocketReader, a_frame_that_is_too_long_is_rejected_by_its_header) {
  auto announce = [](std::uint64_t length, std::size_t bytes) {
    std::string out{'\x81', '\xff'};
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>(length >> shift & 0xff);
    return out.append(4, '\0').substr(0, bytes);
  };
  for (std::uint64_t length : {std::uint64_t{70000}, std::uint64_t{1} << 40, std::uint64_t{1} << 62}) {
    for (std::size_t bytes : {10U, 14U}) {
      for (std::size_t piece : {1U, 3U, 14U}) {
        Heard heard;
        WebSocketReader reader;
        std::optional<std::uint16_t> over;
        std::string head = announce(length, bytes);
        for (std::string_view rest = head; !over && !rest.empty();
             rest.remove_prefix(std::min(piece, rest.size())))
          over = reader.feed(rest.substr(0, piece), kMost, heard);
        EXPECT_EQ(over, std::optional<std::uint16_t>(kTooLarge)) << length << " " << bytes << " " << piece;
      }
    }
  }
  Heard heard;
  WebSocketReader reader;
  EXPECT_FALSE(reader.feed(frame(0x01, std::string(100, 'x')), kMost, heard));
  EXPECT_EQ(reader.feed(std::string("\x00\xfe\x03\x85", 4), kMost, heard),
            std::optional<std::uint16_t>(kTooLarge))
      << "901 more than there is room for";
}

TEST(WebSocketReader, close_codes_are_answered_alike_whenever_they_were_registered) {
  // 1012 to 1014 were taken for breaches of the protocol
  for (unsigned code : {1000U, 1001U, 1003U, 1007U, 1011U, 1012U, 1013U, 1014U, 3000U, 4999U}) {
    for (std::string reason : {"", "why"}) {
      for (std::size_t piece : {1U, 100U}) {
        Heard heard;
        WebSocketReader reader;
        std::string bytes =
            frame(0x88, std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + reason);
        std::optional<std::uint16_t> over;
        for (std::string_view rest = bytes; !over && !rest.empty();
             rest.remove_prefix(std::min(piece, rest.size())))
          over = reader.feed(rest.substr(0, piece), kMost, heard);
        EXPECT_EQ(over, std::optional<std::uint16_t>(0)) << code;
        EXPECT_EQ(heard.replies, std::vector{websocket_close(static_cast<std::uint16_t>(code), reason)});
      }
    }
  }
  for (unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 2999U, 5000U}) {
    Heard heard;
    WebSocketReader reader;
    EXPECT_EQ(reader.feed(frame(0x88, std::string{static_cast<char>(code >> 8), static_cast<char>(code)}),
                          kMost, heard),
              std::optional<std::uint16_t>(kProtocolError))
        << code;
  }
}

TEST(WebSocketReader, a_close_frame_is_the_same_in_any_pieces) {
  std::string reason = "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x91\x8b";
  std::string close = frame(0x88, "\x03\xe8" + reason);
  for (std::size_t piece = 1; piece <= close.size(); ++piece) {
    Heard heard;
    WebSocketReader reader;
    std::optional<std::uint16_t> over;
    for (std::string_view rest = close; !over && !rest.empty();
         rest.remove_prefix(std::min(piece, rest.size())))
      over = reader.feed(rest.substr(0, piece), kMost, heard);
    EXPECT_EQ(over, std::optional<std::uint16_t>(0)) << "in pieces of " << piece;
    EXPECT_EQ(heard.replies, std::vector{websocket_close(1000, reason)});
  }
}

TEST(WebSocketReader, pongs_are_sent_together_and_before_later_replies) {
  struct Order : Heard {
    void on_text(std::string_view) override { replies.emplace_back("text"); }
  } heard;
  WebSocketReader reader;
  EXPECT_FALSE(
      reader.feed(frame(0x89, "1") + frame(0x89, "2") + frame(0x81, "t") + frame(0x89, "3"), kMost, heard));
  EXPECT_EQ(heard.replies, (std::vector<std::string>{"\x8a\x01"
                                                     "1\x8a\x01"
                                                     "2",
                                                     "text",
                                                     "\x8a\x01"
                                                     "3"}));
}

}  // namespace
}  // namespace await::wire
