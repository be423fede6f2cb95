#include "curl_fakes.h"

#include <cstdlib>

namespace await::curl {
namespace {

TEST_F(CurlClient, an_answer_has_its_status_headers_and_body) {
  Ending ending =
      ask("HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nX-A:  b \r\nX-A: c\r\n\tfolded\r\n"
          "Content-Length: 5\r\n\r\nhello");
  EXPECT_EQ(ending.failure, Failure::none) << ending.detail;
  EXPECT_EQ(got.head.status, 201);
  EXPECT_EQ(*got.head.find("content-type"), "text/plain");
  EXPECT_EQ(*got.head.find("X-A"), "b") << "the first of them";
  ASSERT_EQ(got.head.headers.size(), 4u);
  EXPECT_EQ(got.head.headers[2].second, "c folded");
  EXPECT_EQ(got.head.find("x"), nullptr);
  EXPECT_EQ(got.body, "hello");
}

TEST_F(CurlClient, a_request_is_sent_as_given_and_nothing_is_added) {
  std::string received;
  HttpServerFake server(loop, [&](Connection &connection) {
    received = connection.received;
    if (received.ends_with("{}")) {
      connection.say(kOk);
      connection.close_when_said();
    }
  });
  Request request;
  request.method = "PATCH";
  request.url = server.url("/a/../b//c?x=%20&y");
  request.headers = {{"Content-Type", "application/json"}, {"X-Empty", ""}, {"x-one", "1"}};
  request.body = "{}";
  send(request);
  ASSERT_TRUE(wait());
  EXPECT_EQ(received,
            "PATCH /a/../b//c?x=%20&y HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                "\r\nUser-Agent: test\r\nContent-Type: application/json\r\nX-Empty:\r\nx-one: 1\r\n"
                "Content-Length: 2\r\n\r\n{}");
}

TEST_F(CurlClient, an_empty_post_has_a_length_and_a_get_has_none) {
  for (const char *method : {"POST", "PUT", "GET", "DELETE"}) {
    std::string received;
    HttpServerFake server(loop, [&](Connection &connection) {
      received = connection.received;
      connection.say(kOk);
      connection.close_when_said();
    });
    got.ended = false;
    Request request;
    request.method = method;
    request.url = server.url();
    send(request);
    ASSERT_TRUE(wait()) << method;
    EXPECT_EQ(got.ending.failure, Failure::none) << method << got.ending.detail;
    EXPECT_EQ(received.find("Content-Length: 0") != std::string::npos, method[0] == 'P') << received;
    EXPECT_EQ(received.find("Transfer-Encoding"), std::string::npos) << received;
  }
}

TEST_F(CurlClient, what_would_break_a_request_is_an_error_and_nothing_is_sent) {
  auto refused = [&](Request request) {
    auto exchange = client.start(std::move(request), got);
    return !exchange && exchange.error().code == Code::invalid;
  };
  for (const char *url : {"", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\x80"})
    EXPECT_TRUE(refused({.url = url}) || *url == '\0') << url;
  const std::string url = "http://127.0.0.1:1/";
  for (const char *method : {"", "GET /", "G\r\n", "HEAD", "CONNECT"})
    EXPECT_TRUE(refused({.method = method, .url = url})) << method;
  for (const auto &header : Headers{{"A b", "c"},
                                    {"", "c"},
                                    {"A", "b\r\nC: d"},
                                    {"A", "b\nC: d"},
                                    {"A", {"\0", 1}},
                                    {"content-length", "1"},
                                    {"Transfer-Encoding", "chunked"},
                                    {"Expect", "x"}})
    EXPECT_TRUE(refused({.url = url, .headers = {header}})) << header.first;
  EXPECT_EQ(client.in_flight(), 0u);
}

TEST_F(CurlClient, other_protocols_and_user_information_are_not_used) {
  for (const char *url :
       {"ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "dict://127.0.0.1/",
        "http://user:password@127.0.0.1/", "http://user@127.0.0.1/", "http://[::1/", "http:///"}) {
    got.ended = false;
    auto exchange = client.start({.url = url}, got);
    if (!exchange)
      continue;
    got.exchange = std::move(*exchange);
    ASSERT_TRUE(wait()) << url;
    EXPECT_NE(got.ending.failure, Failure::none) << url;
  }
  EXPECT_EQ(got.heads, 0);
}

TEST_F(CurlClient, interim_answers_and_trailers_are_left_out) {
  Ending ending =
      ask("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
          "3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\nContent-Type: text/evil\r\n\r\n");
  EXPECT_EQ(ending.failure, Failure::none) << ending.detail;
  EXPECT_EQ(got.heads, 1);
  EXPECT_EQ(got.head.find("X-Interim"), nullptr);
  EXPECT_EQ(got.head.find("Content-Type"), nullptr);
  EXPECT_EQ(got.body, "abcde");
}

TEST_F(CurlClient, redirects_are_not_followed) {
  int there = 0;
  HttpServerFake other(loop, [&](Connection &) { ++there; });
  for (const char *status : {"301", "302", "303", "307", "308"}) {
    got.ended = false;
    ask(std::string("HTTP/1.1 ") + status + " Elsewhere\r\nLocation: " + other.url() +
        "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(got.ending.failure, Failure::none);
    EXPECT_EQ(std::to_string(got.head.status), status);
  }
  EXPECT_EQ(there, 0);
}

TEST_F(CurlClient, answers_without_a_body_end_at_once) {
  for (const char *head :
       {"204 No Content\r\nContent-Length: 5", "304 Not Modified\r\nContent-Length: 5\r\nETag: x"}) {
    got.ended = false;
    HttpServerFake server(loop, always(std::string("HTTP/1.1 ") + head + "\r\n\r\n", false));
    send({.url = server.url()});
    ASSERT_TRUE(wait()) << head;
    EXPECT_EQ(got.ending.failure, Failure::none) << head << got.ending.detail;
    EXPECT_EQ(got.size, 0);
  }
}

TEST_F(CurlClient, half_an_answer_was_cut) {
  for (const char *answer : {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le",
                             "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                             "HTTP/1.1 100 Continue\r\n\r\n"}) {
    got.ended = false;
    Ending ending = ask(answer);
    EXPECT_TRUE(ending.failure == Failure::cut || ending.failure == Failure::garbage)
        << answer << failure_name(ending.failure);
    EXPECT_NE(ending.detail, "") << answer;
  }
}

TEST_F(CurlClient, what_is_not_http_is_garbage) {
  for (const char *answer :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 999 Odd\r\n\r\n", "HTTP/1.1 099 Odd\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfoo",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n"}) {
    got.ended = false;
    got.heads = 0;
    Ending ending = ask(answer);
    EXPECT_TRUE(ending.failure == Failure::garbage || ending.failure == Failure::cut)
        << answer << failure_name(ending.failure);
    EXPECT_EQ(got.heads, std::string_view(answer).find("chunked") != std::string_view::npos ? 1 : 0)
        << answer;
  }
}

TEST_F(CurlClient, heads_are_limited_with_interim_answers_and_trailers) {
  std::string many = "HTTP/1.1 200 OK\r\n", interim, trailers = "0\r\n";
  for (int i = 0; i < 3000; ++i) {
    many += "X-Header: with some value\r\n";
    interim += "HTTP/1.1 102 Processing\r\n\r\n";
    trailers += "X-Trailer: with some value\r\n";
  }
  for (const std::string &answer :
       {many + "\r\n", interim + kOk,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + trailers + "\r\n",
        "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n"}) {
    got.ended = false;
    Ending ending = ask(answer);
    EXPECT_EQ(ending.failure, Failure::too_large) << ending.detail;
  }
}

TEST_F(CurlClient, a_hundred_headers_are_fine) {
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 100; ++i)
    many += "X-" + std::to_string(i) + ": value\r\n";
  EXPECT_EQ(ask(many + "Content-Length: 0\r\n\r\n").failure, Failure::none);
  EXPECT_EQ(got.head.headers.size(), 101u);
}

TEST_F(CurlClient, a_body_that_is_too_large_is_an_error_or_is_cut) {
  const std::string body(20'000, 'x');
  for (const std::string &answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + body, "HTTP/1.1 200 OK\r\n\r\n" + body}) {
    got.ended = false;
    got.body.clear();
    EXPECT_EQ(ask(answer, {.max_body = 19'999}).failure, Failure::too_large);
    EXPECT_LE(got.body.size(), 19'999u);
    got.ended = false;
    got.body.clear();
    EXPECT_EQ(ask(answer, {.max_body = 20'000}).failure, Failure::none);
    EXPECT_EQ(got.body.size(), 20'000u);
    got.ended = false;
    got.body.clear();
    EXPECT_EQ(ask(answer, {.max_body = 100, .cut_body = true}).failure, Failure::none);
    EXPECT_EQ(got.body.size(), 100u);
  }
}

TEST_F(CurlClient, an_endless_body_ends_by_its_limit) {
  HttpServerFake server(loop, [](Connection &connection) {
    connection.say("HTTP/1.1 200 OK\r\n\r\n");
    connection.say_for_ever(std::string(65536, 'x'));
  });
  got.keep = false;
  send({.url = server.url(), .max_body = 5'000'000});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::too_large);
  EXPECT_TRUE(loop.run_until([&] { return server.open() == 0; }, 5000)) << "the connection is closed";
}

TEST_F(CurlClient, a_server_that_hangs_ends_by_time) {
  for (const char *begin : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh"}) {
    got.ended = false;
    HttpServerFake server(loop, [&](Connection &connection) { connection.say(begin); });
    send({.url = server.url(), .whole_ms = 100});
    ASSERT_TRUE(wait());
    EXPECT_EQ(got.ending.failure, Failure::timeout) << begin << got.ending.detail;
  }
}

TEST_F(CurlClient, a_server_that_refuses_connections_is_told_from_one_that_cuts_them) {
  HttpServerFake server(loop, [](Connection &connection) { connection.close_when_said(); });
  send({.url = server.url()});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::cut) << got.ending.detail;
  server.close_listener();
  got.ended = false;
  send({.url = server.url()});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::connect);
  EXPECT_NE(got.ending.detail.find("127.0.0.1"), std::string::npos) << got.ending.detail;
}

TEST_F(CurlClient, a_refused_address_is_not_connected_to) {
  HttpServerFake server(loop, always(kOk));
  Client strict(loop, {AddressGuard(), "", "test"});
  auto exchange = strict.start({.url = server.url()}, got);
  ASSERT_TRUE(exchange);
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::forbidden);
  EXPECT_EQ(got.ending.detail, "127.0.0.1 is a loopback address");
  got.ended = false;
  exchange = strict.start({.url = "http://localhost:" + std::to_string(server.port()) + "/"}, got);
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::forbidden) << "also behind a name";
  // what inet_aton(3) takes for 127.0.0.1
  for (const char *host :
       {"2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"}) {
    got.ended = false;
    exchange =
        strict.start({.url = std::string("http://") + host + ":" + std::to_string(server.port()) + "/"}, got);
    ASSERT_TRUE(wait()) << host;
    EXPECT_EQ(got.ending.failure, Failure::forbidden) << host << got.ending.detail;
  }
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(CurlClient, a_proxy_of_the_environment_is_not_used) {
  int there = 0;
  HttpServerFake proxy(loop, [&](Connection &) { ++there; });
  for (const char *name : {"http_proxy", "ALL_PROXY", "all_proxy"})
    ::setenv(name, proxy.url().c_str(), 1);
  EXPECT_EQ(ask(kOk).failure, Failure::none);
  for (const char *name : {"http_proxy", "ALL_PROXY", "all_proxy"})
    ::unsetenv(name);
  EXPECT_EQ(there, 0);
}

TEST(CurlHead, retry_after_is_seconds_or_a_date) {
  auto pause = [](const char *value) {
    return retry_after_ms({503, {{"retry-after", value}}}, 784111777'000, 60'000).value_or(-1);
  };
  EXPECT_EQ(pause("0"), 0);
  EXPECT_EQ(pause(" 7 "), 7000);
  EXPECT_EQ(pause("61"), 60'000) << "no longer than is asked for";
  EXPECT_EQ(pause("99999999999999999999999"), 60'000);
  EXPECT_EQ(pause("Sun, 06 Nov 1994 08:49:40 GMT"), 3000);
  EXPECT_EQ(pause("Sun, 06 Nov 1994 08:00:00 GMT"), 0) << "a date of the past";
  EXPECT_EQ(pause("Sun, 06 Nov 2094 08:00:00 GMT"), 60'000);
  for (const char *value : {"", "soon", "-1", "1.5", "1s"})
    EXPECT_EQ(pause(value), -1) << value;
  EXPECT_FALSE(retry_after_ms({503, {}}, 0, 1000));
}

TEST_F(CurlClient, a_connection_alone_can_be_tried) {
  int asked = 0;
  HttpServerFake server(loop, [&](Connection &) { ++asked; });
  send({.url = server.url(), .connect_only = true});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::none) << got.ending.detail;
  EXPECT_EQ(server.accepted(), 1);
  server.close_listener();
  got.ended = false;
  send({.url = server.url(), .connect_only = true});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::connect);
  EXPECT_EQ(asked, 0);
}

TEST_F(CurlClient, a_server_that_does_not_accept_is_away_and_not_slow) {
  HttpServerFake server(loop, [](Connection &) {});
  // no TLS comes from it, so there is no connection
  send({.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/", .connect_ms = 100});
  ASSERT_TRUE(wait());
  EXPECT_EQ(got.ending.failure, Failure::connect) << got.ending.detail;
}

}  // namespace
}  // namespace await::curl
