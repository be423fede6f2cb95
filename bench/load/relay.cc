// relay: writes events straight in SQL, each in a transaction of its own, and waits for their hints on Redis:
// the time from the answer to the commit until the hint is here. An event without a hint is lost.
// --conninfo --jobs FILE ("id receipt" a line; each takes part in turn) --redis port --password --rate
// events/s
// --seconds

#include <libpq-fe.h>

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>

#include "load/net.h"

namespace load {
namespace {

using Pg = std::unique_ptr<PGconn, void (*)(PGconn *)>;
using Rows = std::unique_ptr<PGresult, void (*)(PGresult *)>;

struct Job {
  std::string id, receipt;
};

/// When an event was committed, and when its hint came. Job n has every n-th event.
struct Event {
  std::atomic<double> committed{0}, hinted{0};
  std::atomic<bool> rich{false};
};

class Hints {
 public:
  Hints(int port, const std::string &password, const std::vector<Job> &jobs, std::vector<Event> &events)
      : redis_(port, password), jobs_(jobs.size()), events_(events) {
    for (std::size_t n = 0; n < jobs.size(); ++n)
      numbers_[jobs[n].id] = n;
    rounds_.resize(jobs.size());
    send_all(redis_.fd(), Redis::command({"PSUBSCRIBE", "await:*"}));
    timeval patience{0, 200'000};
    ::setsockopt(redis_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  /// Until `over`, and nothing comes any more.
  void read(const std::atomic<bool> &over) {
    char buffer[65536];
    while (true) {
      ssize_t n = ::recv(redis_.fd(), buffer, sizeof buffer, 0);
      if (n > 0)
        take({buffer, static_cast<std::size_t>(n)});
      else if (n == 0 || errno != EAGAIN)
        fail("Redis");
      else if (over)
        return;
    }
  }

 private:
  /// A hint is a line that begins "1 <job> ", whatever Redis has around it.
  void take(std::string_view bytes) {
    rest_ += bytes;
    std::size_t from = 0;
    for (std::size_t end; (end = rest_.find("\r\n", from)) != std::string::npos; from = end + 2) {
      std::string_view line(rest_.data() + from, end - from);
      if (line.size() > 39 && line.starts_with("1 "))
        on_hint(std::string(line.substr(2, 36)), line.size() > 100);
    }
    rest_.erase(0, from);
  }

  void on_hint(const std::string &job, bool rich) {
    auto found = numbers_.find(job);
    if (found == numbers_.end())
      return;
    std::size_t at = found->second + jobs_ * rounds_[found->second]++;
    if (at >= events_.size())
      throw std::runtime_error("a hint too many");
    events_[at].rich = rich;
    events_[at].hinted = now();
  }

  Redis redis_;
  std::size_t jobs_;
  std::vector<Event> &events_;
  std::unordered_map<std::string, std::size_t> numbers_;
  std::vector<std::size_t> rounds_;
  std::string rest_;
};

std::vector<Job> read_jobs(const std::string &path) {
  std::vector<Job> out;
  for (const std::string &line : read_lines(path)) {
    auto space = line.find(' ');
    out.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return out;
}

void write_events(const Options &options, const std::vector<Job> &jobs, std::vector<Event> &events) {
  Pg pg(PQconnectdb(options.text("conninfo").c_str()), PQfinish);
  Rows made(PQprepare(pg.get(), "emit", "SELECT await.emit($1, $2, 'step', '{\"at\": 1}')", 0, nullptr),
            PQclear);
  if (PQresultStatus(made.get()) != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(pg.get()));
  double rate = static_cast<double>(options.number("rate", 100));
  double began = now();
  for (std::size_t n = 0; n < events.size(); ++n) {
    double ahead = began + static_cast<double>(n) / rate - now();
    if (ahead > 0)
      ::usleep(static_cast<useconds_t>(ahead * 1e6));
    const Job &job = jobs[n % jobs.size()];
    const char *values[] = {job.id.c_str(), job.receipt.c_str()};
    Rows rows(PQexecPrepared(pg.get(), "emit", 2, values, nullptr, nullptr, 0), PQclear);
    events[n].committed = now();
    if (PQresultStatus(rows.get()) != PGRES_TUPLES_OK || PQgetisnull(rows.get(), 0, 0) != 0)
      throw std::runtime_error(std::string("no event: ") + PQerrorMessage(pg.get()));
  }
}

}  // namespace

int relay(const Options &options) {
  std::vector<Job> jobs = read_jobs(options.text("jobs"));
  std::vector<Event> events(
      static_cast<std::size_t>(options.number("rate", 100) * options.number("seconds", 5)));
  Hints hints(static_cast<int>(options.number("redis")), options.text("password"), jobs, events);
  std::atomic<bool> over{false};
  std::string error;
  std::thread reader([&] {
    try {
      hints.read(over);
    } catch (const std::exception &what) {
      error = what.what();
    }
  });
  double began = now();
  try {
    write_events(options, jobs, events);
  } catch (...) {
    over = true;
    reader.join();
    throw;
  }
  double seconds = now() - began;
  over = true;
  reader.join();
  if (!error.empty())
    throw std::runtime_error(error);
  Latencies times;
  long lost = 0, rich = 0;
  for (const Event &event : events) {
    rich += event.rich ? 1 : 0;
    if (event.hinted == 0)
      ++lost;
    else
      times.add(std::max(event.hinted - event.committed, 0.0));  // it may be here before the answer
  }
  say("{\"events\":%zu,\"seconds\":%.3f,\"lost\":%ld,\"rich\":%ld,%s}", events.size(), seconds, lost, rich,
      times.json().c_str());
  return 0;
}

}  // namespace load
