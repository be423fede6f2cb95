// What is told of a backend's address. Was a bug: nginx -t and error.log repeated the whole line, password
// and all.

#include "base/redact.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace await {
namespace {

struct Case {
  const char *address;
  const char *told;
};

const Case kCases[] = {
    {"", ""},
    {"host=db.invalid dbname=x user=u password=TOPSECRET", "host=db.invalid dbname=x user=u password=***"},
    {"host=h password='TOP SECRET' user=u", "host=h password=*** user=u"},
    {"host=h password='TOP\\'SECRET' user=u", "host=h password=*** user=u"},
    {"password='TOP SECRET", "password=***"},
    {"host=h password=TOP\\ SECRET user=u", "host=h password=*** user=u"},
    {"host=h password = TOPSECRET port = 5432", "host=h password=*** port=5432"},
    {"PASSWORD=TOPSECRET host=h", "password=*** host=h"},
    {"host=h passwrd=TOPSECRET", "host=h passwrd=***"},
    {"host=h sslkey=/k sslpassword=TOPSECRET", "host=h sslkey=/k sslpassword=***"},
    {"password=TOP SECRET host=h", "password=*** ***"},
    {"password=TOP SECRET=x host=h", "password=*** *** host=h"},
    {"host=h password TOPSECRET user=u", "host=h ***"},
    {"hots=TOPSECRET", "hots=***"},
    {"host=h port=TOPSECRET", "host=h port=***"},
    {"host=2001:db8::1 port=1,2", "host=2001:db8::1 port=1,2"},
    {"host=@abstract", "host=@abstract"},
    {"host=a@TOPSECRET", "host=***"},
    {"dbname=postgres://u:TOPSECRET@h/x", "dbname=***"},
    {"host=h options='-c x.y=TOPSECRET'", "host=h options=***"},
    {"host=h passfile=/etc/await/pgpass", "host=h passfile=/etc/await/pgpass"},
    {"postgres://u:TOPSECRET@h:5432/x", "postgres://***@h:5432/x"},
    {"postgresql://u:TOPSECRET@h1:1,h2:2/x?sslmode=require", "postgresql://***@h1:1,h2:2/x?***"},
    {"postgres://u:TOP@SECRET@h/x", "postgres://***@h/x"},
    {"postgres://u:TOP/SECRET@h/x", "postgres://***@h/x"},
    {"postgres://u:TOP?SECRET@h/x", "postgres://***"},
    {"postgres://u:TOP SECRET@h/x", "postgres://***@h/x"},
    {"postgres://h/x?password=TOPSECRET", "postgres://h/***?***"},
    {"postgres://h/x?password=TOP@SECRET", "postgres://***"},
    {"postgres:///x?host=h&password=TOPSECRET", "postgres:///***?***"},
    {"postgres://u:TOPSECRET", "postgres://***"},
    {"postgres://u:12/TOPSECRET", "postgres://u:12/***"},
    {"postgres//u:TOPSECRET@h/x", "postgres//***@h/x"},
    {"postgres:u:TOPSECRET@h/x", "postgres:***@h/x"},
    {"://u:TOPSECRET@h/x", "***@h/x"},
    {"u:TOPSECRET@h:6379", "***@h:6379"},
    {"u:TOP=SECRET@h:6379", "***@h:6379"},
    {"TOPSECRET@h", "***@h"},
    {"TOPSECRET", "***"},
    {"mysql://u:TOPSECRET@h", "mysql://***@h"},
    {"redis://default:TOPSECRET@db.invalid:6379", "redis://***@db.invalid:6379"},
    {"rediss://default:TOPSECRET@db.invalid:6379/0", "rediss://***@db.invalid:6379/0"},
    {"redis://:TOPSECRET@[::1]:6379", "redis://***@[::1]:6379"},
    {"redis://default:TOPSECRET@h:99999999", "redis://***@***"},
    {"redis://default:TOPSECRET@", "redis://***@"},
    {"redis://default:TOP%40SECRET@h", "redis://***@h"},
    {"localhost:6379", "localhost:6379"},
    {"unix:/run/redis.sock", "unix:/run/redis.sock"},
    {"unix:u:TOPSECRET@/run/redis.sock", "unix:***"},
};

TEST(Redact, an_address_is_shown_without_its_password) {
  for (const Case &one : kCases)
    EXPECT_EQ(redact(one.address), one.told) << one.address;
}

// A line that was cut off, or whose end was forgotten.
TEST(Redact, no_prefix_of_an_address_shows_its_password) {
  for (const Case &one : kCases) {
    std::string_view all = one.address;
    for (std::size_t n = 0; n <= all.size(); ++n) {
      std::string told = redact(all.substr(0, n));
      EXPECT_EQ(told.find("TOP"), std::string::npos) << all.substr(0, n) << " is told as " << told;
    }
  }
}

TEST(Redact, what_libpq_quotes_is_shown_unless_it_is_a_secret) {
  EXPECT_EQ(redact_message("invalid connection option \"hots\"", "hots=x"),
            "invalid connection option \"hots\"");
  EXPECT_EQ(redact_message("missing \"=\" after \"postgres//u:TOPSECRET@h/x\" in connection info string",
                           "postgres//u:TOPSECRET@h/x"),
            "missing \"=\" after \"***\" in connection info string");
  EXPECT_EQ(
      redact_message("missing \"=\" after \"TOP\"SECRET\" in connection info string", "host=h TOP\"SECRET"),
      "missing \"=\" after \"***\" in connection info string");
  EXPECT_EQ(redact_message("invalid percent-encoded token: \"TOPSECRET", "postgres://u:TOPSECRET%zz@h"),
            "invalid percent-encoded token: \"***\"");
  EXPECT_EQ(redact_message("invalid connection option \"secret\"", "password=top secret=x"),
            "invalid connection option \"***\"");
}

TEST(Redact, a_password_repeated_by_the_server_is_removed) {
  EXPECT_EQ(scrub("unknown command AUTH TOPSECRET TOPSECRET", "TOPSECRET"), "unknown command AUTH *** ***");
  EXPECT_EQ(scrub("no password was given", ""), "no password was given");
  EXPECT_EQ(scrub("a word", "a"), "a word");
}

}  // namespace
}  // namespace await
