#include "pg/link.h"

#include <vector>

#include "base/redact.h"
#include "pg/failure.h"

namespace await::pg {
namespace {

constexpr std::size_t kMostReason = 600;

}  // namespace

bool Link::begin(const Hosts &hosts, const Host &host, const Session &session, PQnoticeReceiver notice,
                 void *of) {
  close();
  std::string unread = std::to_string(session.unread_ms);
  std::string settings = session.settings;
  if (!settings.empty() && !hosts.startup.empty())
    settings += " ";
  settings += hosts.startup;
  // defaults that prevent libpq from blocking, from waiting forever and from using a standby; the options
  // of the conninfo come later and override them
  std::vector<const char *> keywords{"fallback_application_name", "gssencmode", "tcp_user_timeout",
                                     "target_session_attrs", "client_encoding"};
  std::vector<const char *> values{session.name.c_str(), "disable", unread.c_str(), "read-write", "UTF8"};
  auto add = [&](const char *keyword, const std::string &value) {
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  for (const auto &[keyword, value] : hosts.options)
    add(keyword.c_str(), value);
  add("host", host.host);
  add("hostaddr", host.hostaddr);
  add("port", host.port);
  add("options", settings);
  const std::string database = "database";
  if (session.replicates)
    add("replication", database);
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  pg_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!pg_ || PQstatus(pg_.get()) == CONNECTION_BAD)
    return false;
  // from now on: a server may warn while it is connected to, of its collations for example
  PQsetNoticeReceiver(pg_.get(), notice, of);
  return watch(false, true);  // as after PGRES_POLLING_WRITING (manual, 34.1)
}

Link::Step Link::step() {
  unwatch();  // libpq may close its socket and open another within PQconnectPoll
  switch (PQconnectPoll(pg_.get())) {
    case PGRES_POLLING_READING:
      return watch(true, false) ? Step::waits : Step::failed;
    case PGRES_POLLING_WRITING:
      return watch(false, true) ? Step::waits : Step::failed;
    case PGRES_POLLING_OK:
      return Step::established;
    default:
      return Step::failed;
  }
}

bool Link::watch(bool readable, bool writable) {
  int fd = PQsocket(pg_.get());
  if (fd < 0) {
    unwatched_ = "socket closed unexpectedly";
    return false;
  }
  if (!watch_ || fd != watched_fd_) {
    unwatch();
    watch_ = loop_.watch(fd, ready_);
    watched_fd_ = fd;
    if (!watch_) {
      unwatched_ = "worker_connections are not enough";
      return false;
    }
  }
  watch_->want(readable, writable);
  return true;
}

void Link::close() {
  unwatch();  // before libpq closes the descriptor
  pg_.reset();
  unwatched_ = nullptr;
}

/// If libpq has closed its socket because the connection broke, the descriptor must not be unregistered.
void Link::unwatch() {
  if (watch_ && PQsocket(pg_.get()) != watched_fd_)
    watch_->closed();
  watch_.reset();
}

std::string Link::failure() const {
  if (unwatched_ != nullptr)
    return unwatched_;
  if (!pg_)
    return "out of memory";
  const char *password = PQpass(pg_.get());
  return scrub(one_line(PQerrorMessage(pg_.get())), password != nullptr ? password : "");
}

void Reasons::add(const std::string &why) {
  if (text_.find(why) == std::string::npos && text_.size() < kMostReason)
    text_ += (text_.empty() ? "" : "; ") + why.substr(0, kMostReason);
}

}  // namespace await::pg
