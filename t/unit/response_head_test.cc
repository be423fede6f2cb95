#include "wire/response_head.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

using Step = ResponseHead::Step;

/// Feeds all lines; the last step.
Step feed(ResponseHead &head, std::string_view text) {
  Step step = Step::more;
  while (!text.empty() && step == Step::more) {
    auto end = text.find('\n');
    std::string_view line = text.substr(0, end == text.npos ? end : end + 1);
    text.remove_prefix(line.size());
    step = head.feed(line);
  }
  return step;
}

Step step_of(std::string_view text) {
  ResponseHead head;
  return feed(head, text);
}

TEST(ResponseHead, IsTheStatusAndTheHeadersOfTheFinalAnswer) {
  ResponseHead head;
  EXPECT_EQ(feed(head,
                 "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
                 "HTTP/1.1 201 Created\r\nX-A:  b \r\nX-A: c\r\n\tfolded\r\nX-Empty:\r\n\r\n"),
            Step::complete);
  EXPECT_EQ(head.status(), 201);
  EXPECT_EQ(head.headers(), (ResponseHead::Headers{{"X-A", "b"}, {"X-A", "c folded"}, {"X-Empty", ""}}));
}

TEST(ResponseHead, PutsFoldedLinesTogetherWithoutSpaceAround) {
  ResponseHead head;
  EXPECT_EQ(feed(head, "HTTP/1.1 200 OK\r\nX-A:\r\n\tb\r\n \t\r\n c\r\n\r\n"), Step::complete);
  EXPECT_EQ(head.headers(), (ResponseHead::Headers{{"X-A", "b c"}}));
}

TEST(ResponseHead, TakesStatusLinesWithoutAReason) {
  EXPECT_EQ(step_of("HTTP/1.1 204\r\n\r\n"), Step::complete);
  EXPECT_EQ(step_of("HTTP/1.1 204 \r\n\r\n"), Step::complete);
  EXPECT_EQ(step_of("HTTP/1.0 200 OK\n\n"), Step::complete);
}

TEST(ResponseHead, RefusesWhatIsNoHttp) {
  for (std::string_view text : {"SSH-2.0-OpenSSH\r\n", "\r\n", "HTTP/1.1 abc OK\r\n", "HTTP/1.1 99 X\r\n",
                                "HTTP/1.1 600 X\r\n", "HTTP/1.1 2000 X\r\n", "HTTP/1.1\r\n", "X: y\r\n\r\n",
                                "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nno-colon\r\n",
                                "HTTP/1.1 200 OK\r\n: nameless\r\n", "HTTP/1.1 200 OK\r\nA b: c\r\n",
                                "HTTP/1.1 200 OK\r\n folded\r\n", "HTTP/1.1 200 OK\r\nX: a\rY: b\r\n"})
    EXPECT_EQ(step_of(text), Step::garbage) << text;
  EXPECT_EQ(step_of(std::string_view("HTTP/1.1 200 OK\r\nX: a\0b\r\n", 26)), Step::garbage);
}

TEST(ResponseHead, RefusesLengthsOfWhichOthersMayTakeAnotherOne) {
  for (std::string_view lengths :
       {"Content-Length: 5\r\nContent-Length: 6\r\n", "content-length: 5\r\nX: y\r\nCONTENT-LENGTH: 05\r\n",
        "Content-Length: 5, 5\r\n", "Content-Length: -1\r\n", "Content-Length: +5\r\n", "Content-Length:\r\n",
        "Content-Length: 0x5\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length: 5\r\n 6\r\n"})
    EXPECT_EQ(step_of("HTTP/1.1 200 OK\r\n" + std::string(lengths) + "\r\n"), Step::garbage) << lengths;
  EXPECT_EQ(step_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), Step::complete);
}

TEST(ResponseHead, RefusesCodingsThatWereNotAskedFor) {
  for (std::string_view value :
       {"gzip", "gzip, chunked", "chunked, gzip", "xchunked", "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked", "chunked;q=1", "chunked\r\n gzip", ""})
    EXPECT_EQ(step_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + std::string(value) + "\r\n\r\n"),
              Step::garbage)
        << value;
  for (std::string_view value : {"chunked", "Chunked", "identity"})
    EXPECT_EQ(step_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + std::string(value) + "\r\n\r\n"),
              Step::complete)
        << value;
}

TEST(ResponseHead, SaysTheSizeOfTheBody) {
  auto size_of = [](std::string_view text) {
    ResponseHead head;
    EXPECT_EQ(feed(head, text), Step::complete) << text;
    return head.body_size();
  };
  EXPECT_EQ(size_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 5);
  EXPECT_EQ(size_of("HTTP/1.1 200 OK\r\n\r\n"), std::nullopt) << "as long as the connection";
  EXPECT_EQ(size_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            std::nullopt);
  EXPECT_EQ(size_of("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), 0);
  EXPECT_EQ(size_of("HTTP/1.1 304 Not Modified\r\n\r\n"), 0);
}

TEST(HttpDate, HasThreeFormats) {
  for (const char *text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
    EXPECT_EQ(parse_http_date(text, 800'000'000), 784'111'777) << text;
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT", 0), 1'709'164'800);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT", 0), 0);
  EXPECT_EQ(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT", 0), -1);
  EXPECT_EQ(parse_http_date("Sat, 30 Dec 2028 23:59:60 GMT", 0), 1'861'833'600) << "a leap second";
}

TEST(HttpDate, TwoDigitsOfAYearAreAtMostFiftyYearsAhead) {
  constexpr std::int64_t k2026 = 1'795'000'000;
  EXPECT_EQ(parse_http_date("Monday, 01-Jan-76 00:00:00 GMT", k2026), 3'345'062'400) << "2076";
  EXPECT_EQ(parse_http_date("Monday, 01-Jan-77 00:00:00 GMT", k2026), 220'924'800) << "1977";
  constexpr std::int64_t k1999 = 940'000'000;
  EXPECT_EQ(parse_http_date("Monday, 01-Jan-01 00:00:00 GMT", k1999), 978'307'200) << "2001";
}

TEST(HttpDate, IsNothingElse) {
  for (const char *text :
       {"", "now", "tomorrow", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 anF 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT", "Sun Nov 06 08:49:37 94", "Sun, 06-Nov-94 08:49:37 GMT",
        "1994-11-06T08:49:37Z", "784111777"})
    EXPECT_FALSE(parse_http_date(text, 0)) << text;
}

TEST(RetryAfter, IsSecondsOrADate) {
  auto pause = [](const char *value) { return retry_after_ms(value, 784'111'777'000, 60'000).value_or(-1); };
  EXPECT_EQ(pause("0"), 0);
  EXPECT_EQ(pause(" 7 "), 7000);
  EXPECT_EQ(pause("61"), 60'000) << "no longer than is asked for";
  EXPECT_EQ(pause("99999999999999999999999"), 60'000);
  EXPECT_EQ(pause("Sun, 06 Nov 1994 08:49:40 GMT"), 3000);
  EXPECT_EQ(pause("Sunday, 06-Nov-94 08:49:40 GMT"), 3000);
  EXPECT_EQ(pause("Sun, 06 Nov 1994 08:00:00 GMT"), 0) << "a date of the past";
  EXPECT_EQ(pause("Fri, 31 Dec 9999 23:59:59 GMT"), 60'000);
  for (const char *value : {"", "soon", "-1", "1.5", "1s", "+7", "7, 8", "0x10"})
    EXPECT_EQ(pause(value), -1) << value;
}

}  // namespace
}  // namespace await::wire
