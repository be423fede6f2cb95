// What is bounded, and where exactly: forms, frames, numbers, replies.

#include <gtest/gtest.h>

#include <cstdint>

#include "redis/reply_guard.h"
#include "wire/form_fields.h"
#include "wire/json_check.h"
#include "wire/multipart.h"
#include "wire/websocket.h"

namespace await {
namespace {

// --- forms ----------------------------------------------------------------------------------------------

TEST(FormBounds, empty_fields_count_too) {
  // a field without a value was never looked at, and each was looked for among all before it
  wire::FormFields fields;
  std::size_t taken = 0;
  while (taken < 5000 && fields.open(std::to_string(taken)))
    ++taken;
  EXPECT_EQ(taken, wire::FormFields::kMaxFields);
}

TEST(FormBounds, the_same_name_counts_each_time) {
  wire::FormFields fields;
  std::size_t taken = 0;
  while (taken < 5000 && fields.open("a"))
    ++taken;
  EXPECT_EQ(taken, wire::FormFields::kMaxFields);
}

TEST(FormBounds, names_count_as_values_do) {
  wire::FormFields fields;
  std::size_t taken = 0;
  while (taken < 100 && fields.open(std::string(8000, 'n') + std::to_string(taken)))
    ++taken;
  EXPECT_EQ(taken, 8U);
  wire::FormFields other;
  ASSERT_TRUE(other.open("a"));
  EXPECT_TRUE(other.append(std::string(wire::FormFields::kMax - 17, 'v')));
  EXPECT_FALSE(other.append("v"));
}

TEST(FormBounds, fields_keep_their_order_and_repeated_ones_become_a_list) {
  wire::FormFields fields;
  for (const char *name : {"b", "a", "b", "c"}) {
    ASSERT_TRUE(fields.open(name));
    ASSERT_TRUE(fields.append(name));
  }
  EXPECT_EQ(fields.json(), R"({"b":["b","b"],"a":"a","c":"c"})");
}

/// Parts that were seen, and how it ended.
std::pair<std::size_t, wire::Multipart::Event> read_form(std::string_view body, std::size_t piece) {
  using What = wire::Multipart::Event::What;
  wire::Multipart form("b");
  std::size_t parts = 0;
  wire::Multipart::Event event{What::more};
  while (!body.empty() && event.what != What::error) {
    form.feed(body.substr(0, piece));
    body.remove_prefix(std::min(piece, body.size()));
    do {
      event = form.next();
      parts += event.what == What::part ? 1 : 0;
    } while (event.what != What::more && event.what != What::error && event.what != What::end);
  }
  return {parts, event};
}

TEST(FormBounds, parts_are_counted_wanted_or_not) {
  std::string part = "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n";
  std::string body;
  for (std::size_t i = 0; i < wire::Multipart::kMaxParts; ++i)
    body += part;
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, body.size()}) {
    auto [all, end] = read_form(body + "--b--\r\n", piece);
    EXPECT_EQ(all, wire::Multipart::kMaxParts) << piece;
    EXPECT_NE(end.what, wire::Multipart::Event::What::error) << piece;
    auto [most, error] = read_form(body + part + "--b--\r\n", piece);
    EXPECT_EQ(most, wire::Multipart::kMaxParts) << piece;
    EXPECT_EQ(error.what, wire::Multipart::Event::What::error) << piece;
    EXPECT_TRUE(error.too_much) << piece;
  }
}

// --- WebSocket ------------------------------------------------------------------------------------------

struct Heard : wire::WebSocketReader::Listener {
  void text(std::string_view message) override { texts.emplace_back(message); }
  void binary() override { ++binaries; }
  void reply(std::string_view frames) override { replies.emplace_back(frames); }
  std::vector<std::string> texts;
  std::vector<std::string> replies;
  int binaries = 0;
};

std::string frame(unsigned first, std::string_view payload) {
  std::string out{static_cast<char>(first), static_cast<char>(0x80 | payload.size())};
  return out.append(4, '\0').append(payload);
}

constexpr std::size_t kMost = 1000;

TEST(SocketBounds, fragments_of_a_byte_take_a_byte_each) {
  // libwslay kept each in a block of its own: 94 times await_max_frame
  Heard heard;
  wire::WebSocketReader reader;
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

TEST(SocketBounds, a_fragment_too_much_is_refused_whatever_the_message) {
  for (unsigned first : {0x01U, 0x02U}) {
    Heard heard;
    wire::WebSocketReader reader;
    std::string bytes = frame(first, "x");
    for (std::size_t i = 1; i < kMost; ++i)
      bytes += frame(0x00, "x");
    ASSERT_FALSE(reader.feed(bytes, kMost, heard));
    EXPECT_EQ(reader.feed(frame(0x00, "x"), kMost, heard), std::optional<std::uint16_t>(wire::kTooLarge));
    EXPECT_EQ(heard.replies, std::vector{wire::websocket_close(wire::kTooLarge, "")});
    EXPECT_EQ(reader.held(), 0U);
  }
}

TEST(SocketBounds, a_frame_too_long_is_refused_by_its_head) {
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
        wire::WebSocketReader reader;
        std::optional<std::uint16_t> over;
        std::string head = announce(length, bytes);
        for (std::string_view rest = head; !over && !rest.empty();
             rest.remove_prefix(std::min(piece, rest.size())))
          over = reader.feed(rest.substr(0, piece), kMost, heard);
        EXPECT_EQ(over, std::optional<std::uint16_t>(wire::kTooLarge))
            << length << " " << bytes << " " << piece;
      }
    }
  }
  Heard heard;
  wire::WebSocketReader reader;
  EXPECT_FALSE(reader.feed(frame(0x01, std::string(100, 'x')), kMost, heard));
  EXPECT_EQ(reader.feed(std::string("\x00\xfe\x03\x85", 4), kMost, heard),
            std::optional<std::uint16_t>(wire::kTooLarge))
      << "901 more than there is room for";
}

TEST(SocketBounds, codes_that_were_registered_later_are_answered_alike) {
  // 1012 to 1014 were taken for breaches of the protocol
  for (unsigned code : {1000U, 1001U, 1003U, 1007U, 1011U, 1012U, 1013U, 1014U, 3000U, 4999U}) {
    for (std::string reason : {"", "why"}) {
      for (std::size_t piece : {1U, 100U}) {
        Heard heard;
        wire::WebSocketReader reader;
        std::string bytes =
            frame(0x88, std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + reason);
        std::optional<std::uint16_t> over;
        for (std::string_view rest = bytes; !over && !rest.empty();
             rest.remove_prefix(std::min(piece, rest.size())))
          over = reader.feed(rest.substr(0, piece), kMost, heard);
        EXPECT_EQ(over, std::optional<std::uint16_t>(0)) << code;
        EXPECT_EQ(heard.replies,
                  std::vector{wire::websocket_close(static_cast<std::uint16_t>(code), reason)});
      }
    }
  }
  for (unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 2999U, 5000U}) {
    Heard heard;
    wire::WebSocketReader reader;
    EXPECT_EQ(reader.feed(frame(0x88, std::string{static_cast<char>(code >> 8), static_cast<char>(code)}),
                          kMost, heard),
              std::optional<std::uint16_t>(wire::kProtocolError))
        << code;
  }
}

TEST(SocketBounds, pongs_go_in_one_piece_and_before_what_comes_after) {
  struct Order : Heard {
    void text(std::string_view) override { replies.emplace_back("text"); }
  } heard;
  wire::WebSocketReader reader;
  EXPECT_FALSE(
      reader.feed(frame(0x89, "1") + frame(0x89, "2") + frame(0x81, "t") + frame(0x89, "3"), kMost, heard));
  EXPECT_EQ(heard.replies, (std::vector<std::string>{"\x8a\x01"
                                                     "1\x8a\x01"
                                                     "2",
                                                     "text",
                                                     "\x8a\x01"
                                                     "3"}));
}

// --- numbers --------------------------------------------------------------------------------------------

const char *refusal(std::string_view text) {
  wire::JsonCheck check(wire::JsonCheck::Numbers::bounded);
  return check.feed(text) && check.finish() ? nullptr : check.error();
}

TEST(NumberBounds, what_is_short_may_be_long_when_written_out) {
  std::string zeros(399, '0');
  for (const std::string &good :
       {std::string("0"), std::string("-0e0"), std::string("1e308"), std::string("-1.7976931348623157e308"),
        std::string("4.9406564584124654e-324"), std::string("1e399"), std::string("1E+0000000000000399"),
        "1" + zeros, "0." + zeros, "0." + zeros + "e399", std::string("1e-399"), "1" + zeros + "e-0"}) {
    EXPECT_EQ(refusal(good), nullptr) << good;
    EXPECT_EQ(refusal("{\"a\":[" + good + "," + good + "]}"), nullptr) << good;
  }
  for (const std::string &bad :
       {std::string("1e400"), std::string("1e130000"), std::string("-1E+400"), std::string("1e-400"),
        std::string("0e-400"), std::string("1000000e395"), std::string("0.1e-399"), "1" + zeros + "0",
        "0." + zeros + "0", "0." + zeros + "1e-2", std::string("1e99999999999999999999999"),
        std::string("1e-99999999999999999999999"), std::string("0.") + std::string(2000, '0') + "1e-2000"}) {
    EXPECT_NE(refusal(bad), nullptr) << bad;
    EXPECT_NE(refusal("[1," + bad + "]"), nullptr) << bad;
    EXPECT_TRUE(wire::is_json(bad)) << "it is JSON all the same: " << bad;
  }
  EXPECT_EQ(refusal("[\"1e400\"]"), nullptr) << "a text is none";
}

TEST(NumberBounds, how_long_postgresql_writes_it) {
  auto written = [](std::string_view text) {
    wire::JsonCheck check;
    EXPECT_TRUE(check.feed(text) && check.finish()) << text;
    return check.written();
  };
  auto size = [](std::string_view text) { return text.size(); };
  EXPECT_EQ(written(" { } "), size("{}"));
  EXPECT_EQ(written(R"({"a":[1,2.50,-3e2],"b":null})"), size(R"({"a": [1, 2.50, -300], "b": null})"));
  EXPECT_EQ(written(R"([true,false,1.5e-3])"), size("[true, false, 0.0015]"));
  EXPECT_EQ(written(R"("\u0041\u00e9\u20ac\ud83d\ude00\n\u000a\u0001\/\"")"),
            size("\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\n\\n\\u0001/\\\"\""));
}

// --- replies of Redis -----------------------------------------------------------------------------------

const char *verdict(std::string_view bytes, std::size_t piece) {
  redis::ReplyGuard guard;
  const char *error = nullptr;
  for (; error == nullptr && !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    error = guard.feed(bytes.substr(0, piece));
  return error;
}

TEST(ReplyGuard, lets_through_what_redis_says) {
  for (std::string_view good :
       {"+OK\r\n", "-NOAUTH Authentication required.\r\n", ":1000\r\n", ":-1\r\n", "$-1\r\n", "*-1\r\n",
        "*0\r\n", "$0\r\n\r\n", "$5\r\na\r\nbc\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$7\r\nawait:1\r\n:1\r\n+PONG\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$7\r\nmessage\r\n$7\r\nawait:1\r\n$1\r\nx\r\n"}) {
    for (std::size_t piece : {1U, 3U, 1000U})
      EXPECT_EQ(verdict(good, piece), nullptr) << good;
  }
  std::string large = "$900000\r\n" + std::string(900000, 'x') + "\r\n";
  EXPECT_EQ(verdict(large + large, 16384), nullptr) << "each is looked at for itself";
}

TEST(ReplyGuard, stops_what_it_would_not) {
  // "*1000000000" made hiredis allocate 8 GB
  for (const std::string &bad : {std::string("*1000000000\r\n"),
                                 std::string("*17\r\n"),
                                 std::string("*999999999999999999\r\n"),
                                 std::string("*9999999999999999999999"),
                                 std::string("*1\r\n*1\r\n"),
                                 std::string("$1048577\r\n"),
                                 std::string("$999999999999999999\r\n"),
                                 std::string("$-2\r\n"),
                                 std::string("*-7\r\n"),
                                 std::string(":\r\n"),
                                 std::string(":1x\r\n"),
                                 std::string("$ 5\r\n"),
                                 std::string("$+5\r\n"),
                                 std::string(":--1\r\n"),
                                 std::string(":1\r\r"),
                                 std::string("$1\r\nxy\r\n"),
                                 std::string("$1\r\nx\rx"),
                                 std::string("HTTP/1.1 400 Bad Request\r\n"),
                                 std::string("\x16\x03\x01"),
                                 std::string("%1\r\n"),
                                 std::string("~1\r\n"),
                                 std::string(">1\r\n"),
                                 std::string("_\r\n"),
                                 std::string(",1.5\r\n"),
                                 std::string("#t\r\n"),
                                 std::string("(1\r\n"),
                                 std::string("=5\r\n"),
                                 std::string("|1\r\n"),
                                 std::string("+OK\n"),
                                 std::string("+O\rK\r\n"),
                                 std::string("\r\n"),
                                 std::string("\0", 1),
                                 "+" + std::string(2000, 'x'),
                                 "-" + std::string(2000, 'x'),
                                 std::string("$600000\r\n") + std::string(600000, 'x'),
                                 "*2\r\n$600000\r\n" + std::string(600000, 'x') + "\r\n$600000\r\n" +
                                     std::string(600000, 'x') + "\r\n"}) {
    bool whole = bad.starts_with("$600000");  // one of these is well
    for (std::size_t piece : {1U, 3U, 1U << 24})
      EXPECT_EQ(verdict(bad, piece) == nullptr, whole) << bad.substr(0, 40) << " in pieces of " << piece;
  }
}

}  // namespace
}  // namespace await
