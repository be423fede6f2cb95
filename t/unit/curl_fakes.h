#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "curl/client.h"
#include "http_server_fake.h"

namespace await::curl {

using Connection = HttpServerFake::Connection;

struct Recorder : Listener {
  void on_head(Head got) override {
    head = std::move(got);
    ++heads;
    if (leave_at_head)
      exchange.reset();
  }
  bool on_piece(std::string_view piece) override {
    size += static_cast<std::int64_t>(piece.size());
    if (keep)
      body += piece;
    if (leave_at_piece)
      exchange.reset();
    return !pause;
  }
  std::size_t on_room(std::int64_t offset, std::span<char> room) override {
    ++asked;
    if (offset >= have)
      return 0;
    if (offset == 0)
      ++begun;
    std::size_t n = std::min<std::size_t>(room.size(), static_cast<std::size_t>(have - offset));
    std::fill_n(room.begin(), n, 'x');
    for (std::size_t i = 0; i < std::min<std::size_t>(n, 104); ++i)  // enough to tell
      room[i] = static_cast<char>('a' + (offset + static_cast<std::int64_t>(i)) % 26);
    return n;
  }
  void on_end(const Ending &got) override {
    ending = got;
    ended = true;
    if (at_end)
      at_end();
  }

  std::unique_ptr<Exchange> exchange;
  Head head;
  std::string body;
  Ending ending;
  std::function<void()> at_end;
  std::int64_t size = 0;
  std::int64_t have = 0;  // of a streamed body
  int heads = 0, asked = 0, begun = 0;
  bool keep = true, pause = false, ended = false, leave_at_head = false, leave_at_piece = false;
};

inline AddressGuard loopback() {
  AddressGuard guard;
  EXPECT_TRUE(guard.allow("127.0.0.1"));
  return guard;
}

struct CurlClient : testing::Test {
  /// Answers each request, when its head is complete, with these bytes.
  static HttpServerFake::Handler always(const std::string &answer, bool close = true) {
    return [=](Connection &connection) {
      if (connection.received.find("\r\n\r\n") == std::string::npos)
        return;
      connection.received.clear();
      connection.say(answer);
      if (close)
        connection.close_when_said();
    };
  }

  void send(Request request) {
    auto exchange = client.start(std::move(request), got);
    ASSERT_TRUE(exchange) << exchange.error().detail;
    EXPECT_FALSE(got.ended) << "it never ends before start() returns";
    got.exchange = std::move(*exchange);
  }
  bool wait(std::int64_t ms = 10'000) {
    return loop.run_until([&] { return got.ended; }, ms);
  }
  /// What came of a GET that was answered so.
  Ending ask(const std::string &answer, Request request = {}) {
    HttpServerFake server(loop, always(answer));
    request.url = server.url();
    send(std::move(request));
    EXPECT_TRUE(wait()) << answer.substr(0, 100);
    return got.ending;
  }

  io::PollLoop loop;
  Client client{loop, {loopback(), "", "test"}};
  Recorder got;
};

inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

}  // namespace await::curl
