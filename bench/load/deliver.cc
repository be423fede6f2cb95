// deliver: from the PUBLISH after a commit to the client's answer, one at a time, beside a bare Redis
// subscriber and PostgreSQL's own LISTEN in the same loop.
// --port --ids FILE (claimed jobs) --head FILE (%ID%) --conninfo --redis --password

#include <libpq-fe.h>
#include <poll.h>

#include <memory>

#include "load/http.h"
#include "load/net.h"

namespace load {
namespace {

using Pg = std::unique_ptr<PGconn, void (*)(PGconn *)>;
using Rows = std::unique_ptr<PGresult, void (*)(PGresult *)>;

Pg open(const std::string &conninfo) {
  Pg pg(PQconnectdb(conninfo.c_str()), PQfinish);
  if (PQstatus(pg.get()) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(pg.get()));
  return pg;
}

Rows query(PGconn *pg, const std::string &sql) {
  Rows rows(PQexec(pg, sql.c_str()), PQclear);
  auto status = PQresultStatus(rows.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(pg));
  return rows;
}

void wait_readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  if (::poll(&one, 1, 10000) != 1)
    throw std::runtime_error("nothing came within 10 s");
}

}  // namespace

int deliver(const Options &options) {
  auto ids = read_lines(options.text("ids"));
  std::ifstream in(options.text("head"));
  std::string head((std::istreambuf_iterator<char>(in)), {});
  Pg pg = open(options.text("conninfo"));
  Pg ear = open(options.text("conninfo"));
  query(ear.get(), "LISTEN bench");
  Redis out(static_cast<int>(options.number("redis")), options.text("password"));
  Redis bare(static_cast<int>(options.number("redis")), options.text("password"));
  send_all(bare.fd(), Redis::command({"SUBSCRIBE", "bare"}));
  wait_readable(bare.fd());
  char buffer[65536];
  ::usleep(20000);
  while (::recv(bare.fd(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
  }
  int client = connect_to(static_cast<int>(options.number("port")), 1);
  Latencies ours, redis, listen;
  long wrong = 0;
  auto drain_replies = [&] {
    wait_readable(out.fd());
    while (::recv(out.fd(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
  };
  for (const std::string &id : ids) {
    std::string request = head;
    request.replace(request.find("%ID%"), 4, id);
    send_all(client, request);
    ::usleep(4000);  // until it is held
    query(pg.get(),
          "SELECT await.complete(job, receipt, '{\"answer\":42}', 'application/json') "
          "FROM await.lease WHERE job = '" +
              id + "'");
    Rows hint = query(pg.get(), "SELECT channel, message FROM await.hint('" + id + "')");
    std::string message = PQgetvalue(hint.get(), 0, 1);
    std::string command = Redis::command({"PUBLISH", PQgetvalue(hint.get(), 0, 0), message});
    double began = now();
    send_all(out.fd(), command);
    std::string answer;
    while (parse(answer).status == 0) {
      wait_readable(client);
      ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
      if (got <= 0)
        throw std::runtime_error("the server closed the connection");
      answer.append(buffer, static_cast<std::size_t>(got));
    }
    ours.add(now() - began);
    wrong += answer.find(id) == std::string::npos || answer.find("completed") == std::string::npos ? 1 : 0;
    drain_replies();
    ::usleep(4000);  // everything as idle as it was before ours
    command = Redis::command({"PUBLISH", "bare", message});
    began = now();
    send_all(out.fd(), command);
    wait_readable(bare.fd());
    redis.add(now() - began);
    drain_replies();
    while (::recv(bare.fd(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
    ::usleep(4000);
    began = now();
    query(pg.get(), "NOTIFY bench");
    wait_readable(PQsocket(ear.get()));
    listen.add(now() - began);
    PQconsumeInput(ear.get());
    while (PGnotify *note = PQnotifies(ear.get()))
      PQfreemem(note);
  }
  say("{\"wrong\":%ld,\"ours\":{%s},\"redis\":{%s},\"listen\":{%s}}", wrong, ours.json().c_str(),
      redis.json().c_str(), listen.json().c_str());
  return 0;
}

}  // namespace load
