// fanout: many streams on one channel; messages in windows, each window whole before the next is sent.
// --port --n --head FILE --window --messages --size --channel NAME
// --publish http: POST --path to --publish-port; await: emit and hint (--conninfo --redis --password --job)
// A message says "@<channel>.<number>@". Each stream must have each number once, in order, and no other's.

#include <libpq-fe.h>

#include <memory>

#include "load/net.h"

namespace load {
namespace {

class Publisher {
 public:
  virtual ~Publisher() = default;
  /// Sends messages number `first` … `first + n - 1`.
  virtual void publish(long first, long n) = 0;
};

std::string body(const Options &options, long number) {
  std::string mark =
      "{\"mark\":\"@" + options.text("channel", "x") + "." + std::to_string(number) + "@\",\"pad\":\"";
  auto size = static_cast<std::size_t>(options.number("size", 100));
  if (mark.size() + 2 < size)
    mark.append(size - mark.size() - 2, 'x');
  return mark + "\"}";
}

/// The document that await makes of the body: everybody sends the same.
std::string document(const Options &options, long number) {
  return "{\"job\":\"01a20fa0-14c1-753a-a07f-b3be7213ba44\",\"seq\":" + std::to_string(number + 2) +
         ",\"type\":\"line\",\"data\":" + body(options, number) +
         ",\"at\":\"2026-11-21T20:02:02.090Z\",\"correlation_id\":null}";
}

class HttpPublisher : public Publisher {
 public:
  explicit HttpPublisher(const Options &options)
      : options_(options),
        fd_(connect_to(static_cast<int>(options.number("publish-port", options.number("port"))), 0)) {}
  void publish(long first, long n) override {
    std::string out;
    for (long i = first; i < first + n; ++i) {
      std::string message = document(options_, i);
      out += "POST " + options_.text("path") +
             " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
             std::to_string(message.size()) + "\r\n\r\n" + message;
    }
    send_all(fd_, out);
    char buffer[65536];
    while (::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
  }

 private:
  const Options &options_;
  int fd_;
};

/// As a worker does it: events in a transaction, then what await.hint() says goes to Redis.
class AwaitPublisher : public Publisher {
 public:
  explicit AwaitPublisher(const Options &options)
      : options_(options),
        redis_(static_cast<int>(options.number("redis")), options.text("password")),
        pg_(PQconnectdb(options.text("conninfo").c_str()), PQfinish) {
    if (PQstatus(pg_.get()) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(pg_.get()));
  }
  void publish(long first, long n) override {
    std::string emit =
        "SELECT min(s), max(s) FROM (SELECT await.emit(l.job, l.receipt, 'line', v::jsonb) AS s "
        "FROM await.lease l, (VALUES ";
    for (long i = first; i < first + n; ++i)
      emit += (i > first ? ",('" : "('") + body(options_, i) + "')";
    auto seqs = query(emit + ") t (v) WHERE l.job = '" + options_.text("job") + "') e");
    std::string low = PQgetvalue(seqs.get(), 0, 0);
    std::string high = PQgetvalue(seqs.get(), 0, 1);
    auto hints = query("SELECT h.channel, h.message FROM generate_series(" + low + ", " + high +
                       ") g, await.hint('" + options_.text("job") + "', g) h ORDER BY g");
    std::string out;
    for (int row = 0; row < PQntuples(hints.get()); ++row)
      out += Redis::command({"PUBLISH", PQgetvalue(hints.get(), row, 0), PQgetvalue(hints.get(), row, 1)});
    send_all(redis_.fd(), out);
    char buffer[4096];
    while (::recv(redis_.fd(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
  }

 private:
  std::unique_ptr<PGresult, void (*)(PGresult *)> query(const std::string &sql) {
    std::unique_ptr<PGresult, void (*)(PGresult *)> result(PQexec(pg_.get(), sql.c_str()), PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK)
      throw std::runtime_error(PQerrorMessage(pg_.get()));
    return result;
  }
  const Options &options_;
  Redis redis_;
  std::unique_ptr<PGconn, void (*)(PGconn *)> pg_;
};

struct Stream {
  int fd = -1;
  long next = 1;
  bool open = false;
  std::string rest;  // from the last '@' that is not closed yet
};

struct Counts {
  long delivered = 0;
  long lost = 0;
  long doubled = 0;
  long strays = 0;
  long closed = 0;
};

/// Finds the marks in what came; `rest` keeps what may be the beginning of one.
void count(Stream &stream, std::string_view bytes, const std::string &channel, Counts &counts) {
  std::string joined;
  if (!stream.rest.empty()) {
    joined = stream.rest + std::string(bytes);
    bytes = joined;
    stream.rest.clear();
  }
  while (true) {
    auto begin = bytes.find('@');
    if (begin == std::string_view::npos)
      return;
    auto end = bytes.find('@', begin + 1);
    if (end == std::string_view::npos) {
      std::string keep(bytes.substr(begin));
      stream.rest = keep;
      return;
    }
    std::string_view mark = bytes.substr(begin + 1, end - begin - 1);
    bytes.remove_prefix(end + 1);
    auto dot = mark.rfind('.');
    if (dot == std::string_view::npos || mark.substr(0, dot) != channel) {
      ++counts.strays;
      continue;
    }
    long number = std::atol(std::string(mark.substr(dot + 1)).c_str());
    if (number == 0)
      continue;  // the warm-up's
    if (number < stream.next) {
      ++counts.doubled;
      continue;
    }
    counts.lost += number - stream.next;
    stream.next = number + 1;
    ++counts.delivered;
  }
}

}  // namespace

int fanout(const Options &options) {
  auto n = static_cast<std::size_t>(options.number("n", 1000));
  long messages = options.number("messages", 100);
  long window = options.number("window", 1);
  std::string channel = options.text("channel", "x");
  std::ifstream in(options.text("head"));
  std::string head((std::istreambuf_iterator<char>(in)), {});
  Epoll epoll;
  std::vector<Stream> streams(n);
  Counts counts;
  std::size_t open = 0;
  auto take = [&](std::size_t i) {
    char buffer[65536];
    Stream &stream = streams[i];
    ssize_t got = ::recv(stream.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) {
        ++counts.closed;
        ::close(stream.fd);
      }
      return;
    }
    if (!stream.open) {
      stream.open = true;
      ++open;
    }
    count(stream, {buffer, static_cast<std::size_t>(got)}, channel, counts);
  };
  for (std::size_t i = 0; i < n; ++i) {
    streams[i].fd = connect_to(static_cast<int>(options.number("port")), i);
    send_all(streams[i].fd, head);
    epoll.add(streams[i].fd, i);
    while (i + 1 - open > 200)
      epoll.wait(10, take);
  }
  while (open < n && epoll.wait(5000, take)) {
  }
  std::unique_ptr<Publisher> publisher;
  if (options.text("publish") == "await")
    publisher = std::make_unique<AwaitPublisher>(options);
  else
    publisher = std::make_unique<HttpPublisher>(options);
  for (int settle = 0; settle < 20; ++settle)
    epoll.wait(20, take);
  say("{\"open\":%zu}", open);
  listen_line();  // the driver notes the processor time

  double began = now();
  double silent = 0;
  long target = 0;
  for (long first = 1; first <= messages; first += window) {
    long some = std::min(window, messages - first + 1);
    publisher->publish(first, some);
    target += some * static_cast<long>(n);
    double last = now();
    while (counts.delivered + counts.lost < target) {
      if (epoll.wait(1000, take))
        last = now();
      else if (now() - last > 10 && (silent = now() - last) > 0)
        break;
    }
    if (silent > 0)
      break;
  }
  double seconds = now() - began - silent;
  // who has not got the last ones
  for (Stream &stream : streams)
    counts.lost += messages + 1 - stream.next;
  say("{\"seconds\":%.4f,\"delivered\":%ld,\"lost\":%ld,\"doubled\":%ld,\"strays\":%ld,\"closed\":%ld}",
      seconds, counts.delivered, counts.lost, counts.doubled, counts.strays, counts.closed);
  listen_line();
  return 0;
}

}  // namespace load
