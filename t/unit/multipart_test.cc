#include <gtest/gtest.h>

#include <random>

#include "wire/multipart.h"

namespace await::wire {
namespace {

std::string take_apart(const std::string &body, const std::string &boundary, std::size_t step) {
  Multipart parser(boundary);
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += step) {
    parser.feed(std::string_view(body).substr(at, step));
    while (true) {
      Multipart::Event event = parser.next();
      if (event.what == Multipart::Event::What::more)
        break;
      switch (event.what) {
        case Multipart::Event::What::part:
          out += "[" + event.part->name + "|" + event.part->file_name.value_or("-") + "|" + event.part->type +
                 "|";
          break;
        case Multipart::Event::What::data:
          out += event.data;
          break;
        case Multipart::Event::What::part_end:
          out += "]";
          break;
        case Multipart::Event::What::end:
          out += ".";
          break;
        case Multipart::Event::What::error:
          return out + "!" + event.why;
        default:
          break;
      }
    }
  }
  return out + (parser.ended() ? "" : "~");
}

TEST(Multipart, limits_do_not_depend_on_how_the_body_is_split) {
  // was a bug, found by t/fuzz: headers of just under 8 KB were refused where a piece ended within the
  // blank line, and a boundary line of 256 spaces likewise
  std::string headers = "Content-Disposition: form-data; name=\"a\"\r\nX: ";
  headers.resize(Multipart::kMaxHeaders, 'x');
  std::string body = "--b" + std::string(Multipart::kMaxLine, ' ') + "\r\n" + headers + "\r\n\r\nv\r\n--b--";
  for (std::size_t step : {std::size_t{1}, std::size_t{3}, body.size()}) {
    Multipart parser("b");
    for (std::size_t at = 0; at < body.size(); at += step) {
      parser.feed(std::string_view(body).substr(at, step));
      Multipart::Event event;
      do {
        event = parser.next();
        ASSERT_NE(event.what, Multipart::Event::What::error) << event.why << ", step " << step;
      } while (event.what != Multipart::Event::What::more);
    }
    EXPECT_TRUE(parser.ended());
  }
}

TEST(Multipart, the_result_does_not_depend_on_how_the_body_is_split) {
  const std::string body =
      "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--b  \r\n"
      "content-disposition: form-data; name=\"f\"; filename=\"x.png\"\r\nContent-Type: "
      "image/png\r\n\r\n\r\n--bnot\r\n--\r\n\r\n--b\r\n"
      "Content-Disposition: form-data; name=\"e\"\r\n\r\n\r\n--b--\r\nepilogue";
  for (std::size_t step :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}, body.size()})
    EXPECT_EQ(take_apart(body, "b", step).find("[a|-||one]"), 0U) << step;
}

TEST(Multipart, data_that_resembles_a_boundary_is_data) {
  const std::string body =
      "--xyz\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\r\n--xy\r\n--x\r\n\r\n-\r\n--xyz--";
  for (std::size_t step = 1; step <= body.size(); ++step)
    EXPECT_EQ(take_apart(body, "xyz", step), "[f|-||\r\n--xy\r\n--x\r\n\r\n-].") << step;
}

TEST(Multipart, empty_parts_and_empty_forms_are_valid) {
  EXPECT_EQ(take_apart("--b\r\nContent-Disposition: form-data; name=\"e\"\r\n\r\n\r\n--b--", "b", 5),
            "[e|-||].");
  EXPECT_EQ(take_apart("--b--", "b", 1), ".");
}

TEST(Multipart, malformed_bodies_are_rejected) {
  EXPECT_EQ(take_apart("hello", "b", 2), "~");
  EXPECT_EQ(take_apart("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none", "b", 9), "[a|-||one~");
  EXPECT_NE(take_apart("--b\r\n\r\nx\r\n--b--", "b", 3).find("!a part has no form-data name"),
            std::string::npos);
  EXPECT_NE(take_apart("--b\r\nX: " + std::string(9000, 'x') + "\r\n\r\nx\r\n--b--", "b", 100).find("8 KB"),
            std::string::npos);
  EXPECT_NE(take_apart("--bx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n", "b", 50)
                .find("after a boundary"),
            std::string::npos);
}

std::pair<std::size_t, Multipart::Event> read_form(std::string_view body, std::size_t piece) {
  using What = Multipart::Event::What;
  Multipart form("b");
  std::size_t parts = 0;
  Multipart::Event event{What::more};
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

TEST(Multipart, unused_parts_count_towards_the_limit) {
  std::string part = "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n";
  std::string body;
  for (std::size_t i = 0; i < Multipart::kMaxParts; ++i)
    body += part;
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, body.size()}) {
    auto [all, end] = read_form(body + "--b--\r\n", piece);
    EXPECT_EQ(all, Multipart::kMaxParts) << piece;
    EXPECT_NE(end.what, Multipart::Event::What::error) << piece;
    auto [most, error] = read_form(body + part + "--b--\r\n", piece);
    EXPECT_EQ(most, Multipart::kMaxParts) << piece;
    EXPECT_EQ(error.what, Multipart::Event::What::error) << piece;
    EXPECT_TRUE(error.too_much) << piece;
  }
}

}  // namespace
}  // namespace await::wire
