// submit: POSTs in closed loops. --port --path --c connections --n requests --size bytes --expect status
// Every answer has the status asked for, and no two the same Location.

#include <unordered_set>

#include "load/http.h"
#include "load/net.h"

namespace load {

int submit(const Options &options) {
  auto c = static_cast<std::size_t>(options.number("c", 64));
  auto n = static_cast<std::size_t>(options.number("n", 10000));
  std::string body =
      "{\"task\":\"" + std::string(static_cast<std::size_t>(options.number("size", 200)) - 11, 'x') + "\"}";
  std::string method = options.text("method", "POST");
  std::string request = method + " " + options.text("path") + " HTTP/1.1\r\nHost: x\r\n";
  if (method == "POST")
    request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
  else
    request += "\r\n";
  long expect = options.number("expect", 202);
  struct Client {
    int fd;
    double sent;
    std::string in;
  };
  std::vector<Client> clients(c);
  Epoll epoll;
  for (std::size_t i = 0; i < c; ++i) {
    clients[i].fd = connect_to(static_cast<int>(options.number("port")), i);
    epoll.add(clients[i].fd, i);
  }
  say("{\"open\":%zu}", c);
  listen_line();
  std::size_t sent = 0, done = 0, wrong = 0, doubled = 0;
  std::unordered_set<std::string> locations;
  Latencies latencies;
  double began = now();
  auto start = [&](Client &client) {
    if (sent == n)
      return;
    ++sent;
    client.sent = now();
    send_all(client.fd, request);
  };
  for (Client &client : clients)
    start(client);
  while (done < n) {
    bool any = epoll.wait(10000, [&](std::size_t i) {
      char buffer[16384];
      Client &client = clients[i];
      ssize_t got = ::recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got <= 0)
        throw std::runtime_error("the server closed a connection");
      client.in.append(buffer, static_cast<std::size_t>(got));
      Response r = parse(client.in);
      if (r.status == 0)
        return;
      ++done;
      wrong += r.status == expect ? 0 : 1;
      auto location = header(r.head, "\nLocation: ");
      if (!location.empty())
        doubled += locations.emplace(location).second ? 0 : 1;
      latencies.add(now() - client.sent);
      client.in.clear();
      start(client);
    });
    if (!any)
      break;
  }
  double seconds = now() - began;
  say("{\"seconds\":%.4f,\"done\":%zu,\"lost\":%zu,\"wrong\":%zu,\"doubled\":%zu,%s}", seconds, done,
      n - done, wrong, doubled, latencies.json().c_str());
  listen_line();
  return 0;
}

}  // namespace load
