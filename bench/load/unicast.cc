// unicast: held long-polls, one job each; completions go out at a window or a rate, each to its own client.
// --port --n --head FILE (%ID%) --ids FILE --window W (outstanding) or --rate per second
// --publish redis: lines of --messages FILE (channel message) to --redis --password; http: POST to --path
// (%ID%) The answer must say the client's own id (or --mark), and come once.

#include <memory>

#include "load/http.h"
#include "load/net.h"

namespace load {
namespace {

std::string with_id(std::string text, const std::string &id) {
  auto at = text.find("%ID%");
  return at == std::string::npos ? text : text.replace(at, 4, id);
}

struct Client {
  int fd = -1;
  double told = 0;
  bool answered = false;
  std::string in;
};

}  // namespace

int unicast(const Options &options) {
  auto n = static_cast<std::size_t>(options.number("n", 1000));
  auto ids = read_lines(options.text("ids"));
  std::ifstream in(options.text("head"));
  std::string head((std::istreambuf_iterator<char>(in)), {});
  bool by_redis = options.text("publish") == "redis";
  if (ids.size() < n)
    throw std::runtime_error("too few ids");
  int publish_fd = -1;
  std::unique_ptr<Redis> redis;
  if (by_redis) {
    redis = std::make_unique<Redis>(static_cast<int>(options.number("redis")), options.text("password"));
    publish_fd = redis->fd();
  } else {
    publish_fd = connect_to(static_cast<int>(options.number("publish-port", options.number("port"))), 0);
  }
  Epoll epoll;
  std::vector<Client> clients(n);
  for (std::size_t i = 0; i < n; ++i) {
    clients[i].fd = connect_to(static_cast<int>(options.number("port")), i);
    send_all(clients[i].fd, with_id(head, ids[i]));
    epoll.add(clients[i].fd, i);
    if (i % 200 == 199)
      ::usleep(20000);
  }
  say("{\"open\":%zu}", n);
  listen_line();
  std::vector<std::pair<std::string, std::string>> messages;  // made while the clients were held
  if (by_redis)
    messages = read_messages(options.text("messages"));
  if (by_redis && messages.size() < n)
    throw std::runtime_error("too few messages");

  long window = options.number("window", 0);
  long rate = options.number("rate", 0);
  std::size_t answered = 0, strays = 0, doubled = 0, closed = 0, sent = 0;
  Latencies latencies;
  auto take = [&](std::size_t i) {
    char buffer[16384];
    Client &client = clients[i];
    ssize_t got = ::recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) {
        closed += client.answered ? 0 : 1;
        ::close(client.fd);
      }
      return;
    }
    client.in.append(buffer, static_cast<std::size_t>(got));
    Response r = parse(client.in);
    if (r.status == 0)
      return;
    if (client.answered) {
      ++doubled;
      client.in.clear();
      return;
    }
    doubled += r.size != client.in.size() ? 1 : 0;
    client.answered = true;
    strays += r.status == 200 && client.told > 0 && r.body.find(ids[i]) != std::string_view::npos ? 0 : 1;
    ++answered;
    latencies.add(now() - client.told);
    std::string().swap(client.in);
  };
  double began = now();
  double last = began;
  std::string out;
  while (answered + closed < n) {
    std::size_t may = n;
    if (window > 0)
      may = std::min(n, answered + static_cast<std::size_t>(window));
    if (rate > 0)
      may = std::min(n, static_cast<std::size_t>((now() - began) * static_cast<double>(rate)) + 1);
    out.clear();
    for (; sent < may; ++sent) {
      clients[sent].told = now();
      if (by_redis) {
        out += Redis::command({"PUBLISH", messages[sent].first, messages[sent].second});
      } else {
        std::string body = "{\"id\":\"" + ids[sent] + "\"}";
        out += "POST " + with_id(options.text("path"), ids[sent]) +
               " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
      }
    }
    if (!out.empty()) {
      send_all(publish_fd, out);
      char buffer[65536];
      while (::recv(publish_fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
      }
    }
    if (epoll.wait(rate > 0 ? 1 : 100, take))
      last = now();
    else if (now() - last > 10)
      break;
  }
  double seconds = last - began;
  say("{\"seconds\":%.4f,\"answered\":%zu,\"lost\":%zu,\"strays\":%zu,\"doubled\":%zu,%s}", seconds, answered,
      n - answered, strays, doubled, latencies.json().c_str());
  listen_line();
  return 0;
}

}  // namespace load
