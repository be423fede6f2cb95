// Connections to one of several hosts: which of them is used, and how soon (AWAIT_POSTGRES).

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "io/poll_loop.h"
#include "io/random.h"
#include "pg/connection.h"

namespace await::pg {
namespace {

struct Log : io::Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

/// A listening socket. Without say() nothing serves it: the kernel accepts connections, and nothing is
/// ever said.
class Silent {
 public:
  Silent() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr *>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd_, 64), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr *>(&at), &length), 0);
    port = std::to_string(ntohs(at.sin_port));
  }
  Silent(const Silent &) = delete;
  Silent &operator=(const Silent &) = delete;
  ~Silent() {
    watch_.reset();
    ::close(fd_);
    for (auto &client : clients_) {
      client->watch.reset();
      ::close(client->fd);
    }
  }
  /// Says this to everybody who connects, and an answer to each further thing that they say.
  void say(io::Loop &loop, const std::string &words, bool then_close, const std::string &answer = "") {
    watch_ = loop.watch(fd_, [this, &loop, words, then_close, answer] {
      int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      send(fd, words);
      if (then_close) {
        ::close(fd);
        return;
      }
      auto &client = *clients_.emplace_back(std::make_unique<Client>());
      client.fd = fd;
      client.watch = loop.watch(fd, [this, &client, answer] { on_client(client, answer); });
      client.watch->want(true, false);
    });
    watch_->want(true, false);
  }
  std::string port;
  std::vector<std::string> greetings;  ///< what was said first

 private:
  struct Client {
    int fd;
    std::unique_ptr<io::FdWatcher> watch;
    bool has_greeted = false;
  };
  static void send(int fd, const std::string &words) {
    EXPECT_EQ(::send(fd, words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
  }
  void on_client(Client &client, const std::string &answer) {
    char words[4096];
    ssize_t n = ::recv(client.fd, words, sizeof words, 0);
    if (n <= 0)
      client.watch->want(false, false);
    else if (std::exchange(client.has_greeted, true))
      ::send(client.fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    else
      greetings.emplace_back(words, static_cast<std::size_t>(n));
  }
  int fd_;
  std::unique_ptr<io::FdWatcher> watch_;
  std::vector<std::unique_ptr<Client>> clients_;
};

class HostsTest : public testing::Test {
 protected:
  void SetUp() override {
    const char *value = std::getenv("AWAIT_POSTGRES");
    auto hosts = read_hosts(value != nullptr ? value : "");
    ASSERT_TRUE(hosts);
    real_ = hosts->list.front();
    rest_ = to_conninfo(hosts->options);
  }
  /// The conninfo of the database, for these hosts.
  std::string conninfo(const std::string &hosts, const std::string &more = "") const {
    return rest_ + " " + hosts + " " + more;
  }
  std::string real_port() const { return real_.port; }
  /// Milliseconds until the connection is ready; -1: never.
  std::int64_t connect(Connection &connection) {
    std::int64_t began = loop.monotonic_ms();
    connection.start();
    return loop.run_until([&] { return connection.ready(); }, 9'000) ? loop.monotonic_ms() - began : -1;
  }

  io::PollLoop loop;
  io::Random random;
  Log log;
  Host real_;
  std::string rest_;
  Silent silent;
};

TEST_F(HostsTest, a_host_costs_its_share_of_time_and_the_next_one_is_tried) {
  const std::string real = real_port();
  struct Case {
    const char *what;
    std::string hosts;
    std::int64_t at_least, less_than;
  };
  const std::string dead = "1";  // nobody listens there
  const Case cases[] = {
      {"silent first", "host=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real, 1000, 2000},
      {"silent second", "host=127.0.0.1,127.0.0.1 port=" + real + "," + silent.port, 0, 900},
      {"two silent ones",
       "host=127.0.0.1,127.0.0.1,127.0.0.1 port=" + silent.port + "," + silent.port + "," + real, 2000, 3500},
      {"refused first", "host=127.0.0.1,127.0.0.1 port=" + dead + "," + real, 0, 900},
      {"refused, silent, real",
       "host=127.0.0.1,127.0.0.1,127.0.0.1 port=" + dead + "," + silent.port + "," + real, 1000, 2000},
      {"by hostaddr alone", "hostaddr=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real, 1000, 2000},
      {"with names for hostaddr",
       "host=a.invalid,b.invalid hostaddr=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real, 1000, 2000},
      {"one port for several addresses", "hostaddr=127.0.0.2,127.0.0.1 port=" + real, 0, 2900},
      {"a socket that does not exist", "host=/nonexistent,127.0.0.1 port=" + real, 0, 900},
      {"a name, to be resolved", "host=localhost port=" + real, 0, 2900},
      {"a name that nobody knows first", "host=nobody.invalid,127.0.0.1 port=" + real, 0, 8000},
  };
  for (const Case &one : cases) {
    Connection connection(loop, log, random, {conninfo(one.hosts, "connect_timeout=1"), "write"});
    std::int64_t took = connect(connection);
    EXPECT_GE(took, one.at_least) << one.what;
    EXPECT_LT(took, one.less_than) << one.what;
    EXPECT_EQ(connection.reason(), "") << one.what;
  }
}

TEST_F(HostsTest, a_host_that_is_no_postgresql_costs_its_share_at_most) {
  struct Case {
    const char *what;
    std::string words;
    bool then_close;
    std::int64_t less_than;
  };
  const Case cases[] = {
      {"TLS that stalls", "S", false, 2'000},
      {"a proxy without a back end", "", true, 900},
      {"a web server", "HTTP/1.1 400 Bad Request\r\n\r\n", true, 900},
      {"an error", std::string("E\0\0\0\x28SFATAL\0VFATAL\0C53300\0Mtoo many\0\0", 41), true, 900},
      {"no TLS, and then silence", "N", false, 2'000},
  };
  for (const Case &one : cases) {
    Silent odd;
    odd.say(loop, one.words, one.then_close);
    Connection connection(loop, log, random,
                          {conninfo("host=127.0.0.1,127.0.0.1 port=" + odd.port + "," + real_port(),
                                    "connect_timeout=1 sslmode=prefer"),
                           "write"});
    std::int64_t took = connect(connection);
    EXPECT_GE(took, 0) << one.what;
    EXPECT_LT(took, one.less_than) << one.what;
  }
}

TEST_F(HostsTest, without_connect_timeout_the_share_is_two_seconds) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real_port()), "write"});
  std::int64_t took = connect(connection);
  EXPECT_GE(took, 2000);
  EXPECT_LT(took, 2900) << "less than a statement waits for a connection";
}

struct Outcome : Statement {
  Outcome(std::optional<Result<Rows>> &out, const char *sql) : Statement(sql, {}), out(out) {}
  void finish(Result<Rows> rows) override { out.emplace(std::move(rows)); }
  std::optional<Result<Rows>> &out;
};

TEST_F(HostsTest, a_statement_waits_while_hosts_are_tried_and_then_runs) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real_port(), "connect_timeout=1"),
       "write"});
  connection.start();
  std::optional<Result<Rows>> out;
  connection.send(std::make_unique<Outcome>(out, "SELECT 1"));
  ASSERT_TRUE(loop.run_until([&] { return out.has_value(); }, 5'000));
  EXPECT_TRUE(*out) << "answered by the second host";
}

TEST_F(HostsTest, a_statement_does_not_wait_longer_than_its_patience) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=" + silent.port + "," + silent.port, "connect_timeout=20"),
       "write"});
  connection.start();
  std::optional<Result<Rows>> out;
  std::int64_t began = loop.monotonic_ms();
  connection.send(std::make_unique<Outcome>(out, "SELECT 1"));
  ASSERT_TRUE(loop.run_until([&] { return out.has_value(); }, 6'000));
  EXPECT_LT(loop.monotonic_ms() - began, 4'000);
  ASSERT_FALSE(*out);
  EXPECT_EQ(out->error().code, Code::unavailable);
}

TEST_F(HostsTest, the_host_that_worked_last_comes_first) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=" + silent.port + "," + real_port(), "connect_timeout=1"),
       "write"});
  ASSERT_GE(connect(connection), 1000);
  std::optional<Result<Rows>> out;
  connection.send(std::make_unique<Outcome>(out, "SELECT pg_terminate_backend(pg_backend_pid())"));
  ASSERT_TRUE(loop.run_until([&] { return out.has_value() && !connection.ready(); }, 5'000));
  EXPECT_LT(connect(connection), 900) << "no second is spent on the silent one";
  EXPECT_GE(connect(connection), 0);
}

TEST_F(HostsTest, a_rejected_host_comes_last) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=" + real_port() + "," + silent.port, "connect_timeout=1"),
       "write"});
  ASSERT_GE(connect(connection), 0);
  connection.reject("a former primary");
  EXPECT_FALSE(connection.ready());
  EXPECT_GE(connect(connection), 1000) << "the other one was tried before it";
}

TEST_F(HostsTest, a_cancelled_statement_fails_alone) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1 port=" + real_port(), "options='-c statement_timeout=200ms'"), "write"});
  ASSERT_GE(connect(connection), 0);
  std::optional<Result<Rows>> slow, quick;
  connection.send(std::make_unique<Outcome>(slow, "SELECT pg_sleep(5)"));
  connection.send(std::make_unique<Outcome>(quick, "SHOW client_connection_check_interval"));
  ASSERT_TRUE(loop.run_until([&] { return slow && quick; }, 5'000));
  ASSERT_FALSE(*slow);
  EXPECT_EQ(slow->error().code, Code::unavailable);
  ASSERT_TRUE(*quick) << "the next one on the same connection is answered";
  EXPECT_EQ((*quick)->text(0, 0), "2s") << "beside the options of the conninfo";
  EXPECT_TRUE(connection.ready());
  EXPECT_TRUE(log.lines.empty());
}

TEST_F(HostsTest, a_prepared_statement_is_parsed_once_a_session_until_its_result_type_changes) {
  Connection connection(loop, log, random, {conninfo("host=127.0.0.1 port=" + real_port()), "write"});
  ASSERT_GE(connect(connection), 0);
  auto answer = [&](const char *sql, bool prepared) {
    std::optional<Result<Rows>> outcome;
    auto statement = std::make_unique<Outcome>(outcome, sql);
    statement->prepared = prepared;
    connection.send(std::move(statement));
    EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }, 5'000)) << sql;
    return outcome && *outcome ? (*outcome)->count() == 0 ? "" : (*outcome)->text(0, 0) : "failed";
  };
  const char *known =
      "SELECT coalesce(string_agg(name || ' ' || generic_plans + custom_plans, ','), '') "
      "FROM pg_prepared_statements WHERE name <> ''";
  const char *sql = "SELECT * FROM pg_temp.changed";
  ASSERT_EQ(answer("CREATE TEMPORARY TABLE changed AS SELECT 'old'::text AS a", false), "");
  EXPECT_EQ(answer(known, false), "");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(answer(sql, true), "old");
  EXPECT_EQ(answer(known, false), "await_1 3");
  answer("ALTER TABLE pg_temp.changed ALTER a TYPE varchar USING 'new'", false);
  EXPECT_EQ(answer(sql, true), "failed") << "cached plan must not change result type";
  EXPECT_EQ(answer(sql, true), "new");
  EXPECT_EQ(answer(known, false), "await_1 3");
  EXPECT_TRUE(connection.ready());
}

/// A message of PostgreSQL (manual, 55.7).
std::string said(char type, const std::string &body) {
  auto size = static_cast<std::uint32_t>(body.size() + 4);
  std::string out(1, type);
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(size >> shift & 0xff);
  return out + body;
}

using namespace std::string_literals;
const std::string kWelcome =
    said('R', "\0\0\0\0"s) + said('S', "server_version\00015.0\0"s) + said('S', "in_hot_standby\0off\0"s) +
    said('S', "default_transaction_read_only\0off\0"s) + said('K', "\0\0\0\1\0\0\0\1"s) + said('Z', "I");
const std::string kReady = said('Z', "I");

// was a bug: an answer that began a COPY was taken for ever
TEST_F(HostsTest, a_server_that_answers_nonsense_costs_its_connection_at_most) {
  const std::string bound = said('1', "") + said('2', "");
  const std::string copy = "\0\0\0"s;
  const std::pair<const char *, std::string> answers[] = {
      {"COPY in", bound + said('G', copy)},
      {"COPY out", bound + said('H', copy)},
      {"COPY in both ways", bound + said('W', copy)},
      {"rows without columns", bound + said('D', "\0\1\0\0\0\1x"s)},
      {"a row with too few values", bound + said('T', "\0\1x\0\0\0\0\0\0\0\0\0\0\x17\0\4\0\0\0\0\0\1"s) +
                                        said('D', "\0\0"s) + said('C', "SELECT 1\0"s) + kReady},
      {"nothing but the end", kReady},
      {"an error that says nothing", said('E', "\0"s) + kReady},
      {"an empty query", bound + said('I', "") + kReady},
      {"another password request", said('R', "\0\0\0\3"s)},
      {"a length of two gigabytes", "D\x7f\xff\xff\xff"s},
      {"zeros", std::string(1000, '\0')},
  };
  ::alarm(60);
  for (const auto &[what, answer] : answers) {
    Silent liar;
    liar.say(loop, kWelcome, false, answer);
    Connection connection(loop, log, random,
                          {conninfo("host=127.0.0.1 port=" + liar.port, "sslmode=disable"), "write", 300});
    std::optional<Result<Rows>> outcome;
    connection.start();
    connection.send(std::make_unique<Outcome>(outcome, "SELECT 1"));
    EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }, 5'000)) << what;
  }
  ::alarm(0);
}

// was a bug: what a server says before it is ready, each time it is connected to, was written raw into
// error.log
TEST_F(HostsTest, what_a_server_says_while_it_is_connected_to_is_not_written_to_the_standard_error) {
  std::string warning = said('N', "SWARNING\0VWARNING\0C01000\0Mcollation version mismatch\0\0"s);
  silent.say(loop, kWelcome.substr(0, kWelcome.size() - kReady.size()) + warning + kReady, false);
  Connection connection(loop, log, random,
                        {conninfo("host=127.0.0.1 port=" + silent.port, "sslmode=disable"), "write"});
  testing::internal::CaptureStderr();
  EXPECT_GE(connect(connection), 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// was a bug: submissions were refused as invalid
TEST_F(HostsTest, a_full_queue_of_notifications_passes) {
  std::string error =
      said('E', "SERROR\0VERROR\0C54000\0Mtoo many notifications in the NOTIFY queue\0Fasync.c\0\0"s);
  silent.say(loop, kWelcome, false, error + kReady);
  Connection connection(loop, log, random,
                        {conninfo("host=127.0.0.1 port=" + silent.port, "sslmode=disable"), "write"});
  std::optional<Result<Rows>> outcome;
  connection.start();
  connection.send(std::make_unique<Outcome>(outcome, "SELECT 1"));
  ASSERT_TRUE(loop.run_until([&] { return outcome.has_value(); }, 5'000));
  ASSERT_FALSE(*outcome);
  EXPECT_NE(outcome->error().detail.find("54000"), std::string::npos) << outcome->error().detail;
  EXPECT_EQ(outcome->error().code, Code::unavailable);
}

// was a bug: after one refusal no connection had the settings any more
TEST_F(HostsTest, what_a_pooler_refuses_once_is_tried_again_with_the_next_connection) {
  silent.say(loop, said('E', "SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"s), false);
  Connection connection(loop, log, random,
                        {conninfo("host=127.0.0.1 port=" + silent.port, "sslmode=disable"), "write"});
  connection.start();
  ASSERT_TRUE(loop.run_until([&] { return silent.greetings.size() >= 4; }, 5'000));
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(silent.greetings[i].find("await.single") != std::string::npos, i % 2 == 0) << i;
}

/// A lock that is never granted, and a connection that gives up waiting for it.
class AbandonedTest : public HostsTest {
 protected:
  /// Whether no backend waits for the lock after some time.
  bool is_ended(const std::string &options, bool reconnects) {
    std::string at = conninfo("host=127.0.0.1 port=" + real_port());
    Connection holder(loop, log, random, {at, "holder"});
    auto waiter = std::make_unique<Connection>(loop, log, random,
                                               Connection::Options{at + " " + options, "waiter", 300});
    std::optional<Result<Rows>> held, waited;
    EXPECT_GE(connect(holder), 0);
    holder.send(std::make_unique<Outcome>(held, "SELECT pg_advisory_lock(77)"));
    EXPECT_TRUE(loop.run_until([&] { return held.has_value(); }, 5'000));
    EXPECT_GE(connect(*waiter), 0);
    waiter->send(std::make_unique<Outcome>(waited, "SELECT pg_advisory_lock(77)"));
    EXPECT_TRUE(loop.run_until([&] { return waited.has_value(); }, 5'000));
    EXPECT_FALSE(*waited);
    if (!reconnects)
      waiter.reset();
    std::int64_t began = loop.monotonic_ms();
    while (waiting(holder) != 0 && loop.monotonic_ms() - began < 8'000)
      loop.run_until([] { return false; }, 50);
    return waiting(holder) == 0;
  }
  /// The number of backends that wait.
  std::int64_t waiting(Connection &connection) {
    std::optional<Result<Rows>> n;
    connection.send(std::make_unique<Outcome>(
        n, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"));
    return loop.run_until([&] { return n.has_value(); }, 5'000) && *n ? (*n)->number(0, 0) : -1;
  }
};

TEST_F(AbandonedTest, the_backend_notices_that_its_client_has_left) { EXPECT_TRUE(is_ended("", false)); }

TEST_F(AbandonedTest, the_next_connection_ends_the_backend_that_does_not_notice) {
  EXPECT_TRUE(is_ended("options='-c client_connection_check_interval=0'", true));
}

TEST_F(HostsTest, each_reason_is_logged_once) {
  Connection connection(
      loop, log, random,
      {conninfo("host=127.0.0.1,127.0.0.1 port=1," + silent.port, "connect_timeout=1 password=wrong"),
       "write"});
  connection.start();
  loop.run_until([] { return false; }, 3'500);
  ASSERT_EQ(log.lines.size(), 1U) << "two rounds, one line";
  EXPECT_NE(log.lines[0].find("port 1 failed: Connection refused"), std::string::npos) << log.lines[0];
  EXPECT_NE(log.lines[0].find("no answer within 1 s"), std::string::npos) << log.lines[0];
}

}  // namespace
}  // namespace await::pg
