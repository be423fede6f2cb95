// Connecting: hosts one after the other, the checks of a new session, and what an outage brings.

#include <algorithm>

#include "base/redact.h"
#include "pg/call.h"
#include "pg/connection.h"
#include "pg/session.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

constexpr std::size_t kMostReason = 600;
constexpr std::int64_t kLeastUnreadMs = 10'000;

}  // namespace

void Connection::start() {
  if (state_ == State::idle)
    connect();
}

void Connection::nudge() {
  if (state_ == State::waiting)
    timer_->set(0);
}

/// Begins a round of attempts, one for each host.
void Connection::connect() {
  state_ = State::connecting;
  reasons_.clear();
  auto hosts = read_hosts(options_.conninfo);
  if (!hosts) {
    wait_to_connect("cannot connect to", hosts.error().detail);
    return;
  }
  hosts_ = std::move(*hosts);
  auto first = first_ ? std::find(hosts_.list.begin(), hosts_.list.end(), *first_) : hosts_.list.begin();
  if (first != hosts_.list.end())
    std::rotate(hosts_.list.begin(), first, hosts_.list.end());
  if (last_)
    std::stable_partition(hosts_.list.begin(), hosts_.list.end(), [&](auto &one) { return one != *last_; });
  host_ = 0;
  plain_ = false;
  connect_to_host();
}

void Connection::connect_to_host() {
  drop_watch();
  const Host &host = hosts_.list[host_];
  std::string name = std::string("nginx-await-") + options_.role;
  std::string startup = hosts_.startup;
  if (!plain_)  // before those of the conninfo, which override it
    startup.insert(0, session::startup_options(options_.timeout_ms) + (startup.empty() ? "" : " "));
  // a server that is busy reads nothing: what is sent behind a long statement may wait as long as that
  std::string unread = std::to_string(std::max(kLeastUnreadMs, options_.timeout_ms));
  // defaults that prevent libpq from blocking, from waiting forever and from using a standby; the options
  // of the conninfo come later and override them
  std::vector<const char *> keywords{"fallback_application_name", "gssencmode", "tcp_user_timeout",
                                     "target_session_attrs", "client_encoding"};
  std::vector<const char *> values{name.c_str(), "disable", unread.c_str(), "read-write", "UTF8"};
  auto add = [&](const char *keyword, const std::string &value) {
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  for (const auto &[keyword, value] : hosts_.options)
    add(keyword.c_str(), value);
  add("host", host.host);
  add("hostaddr", host.hostaddr);
  add("port", host.port);
  add("options", startup);
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  pg_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!pg_ || PQstatus(pg_.get()) == CONNECTION_BAD) {
    give_up_host(message());
    return;
  }
  // from now on: a server may warn while it is connected to, of its collations for example
  PQsetNoticeReceiver(pg_.get(), on_notice, this);
  timer_->set(share_ms());
  watch_socket(false, true);  // as after PGRES_POLLING_WRITING (manual, 34.1)
}

std::int64_t Connection::share_ms() const {
  if (hosts_.connect_timeout_ms > 0)
    return hosts_.connect_timeout_ms;
  return hosts_.list.size() > 1 ? options_.share_ms : options_.connect_ms;
}

/// Tries the next host; after the last one, waits.
void Connection::give_up_host(const std::string &why) {
  drop_watch();
  pg_.reset();
  if (!plain_ && session::refuses_startup(why)) {
    plain_ = true;
    connect_to_host();
    return;
  }
  if (reasons_.find(why) == std::string::npos && reasons_.size() < kMostReason)
    reasons_ += (reasons_.empty() ? "" : "; ") + why.substr(0, kMostReason);
  if (++host_ < hosts_.list.size()) {
    plain_ = false;
    connect_to_host();
    return;
  }
  last_.reset();
  wait_to_connect("cannot connect to", reasons_);
}

void Connection::watch_socket(bool readable, bool writable) {
  int fd = PQsocket(pg_.get());
  if (fd < 0) {
    lost("socket closed unexpectedly");
    return;
  }
  if (!watch_ || fd != watched_fd_) {
    drop_watch();
    watch_ = loop_.watch(fd, [this] { on_socket(); });
    watched_fd_ = fd;
    if (!watch_) {
      lost("worker_connections are not enough");
      return;
    }
  }
  watch_->want(readable, writable);
}

void Connection::on_socket() {
  if (state_ == State::connecting)
    poll_connect();
  else
    pump();
}

void Connection::poll_connect() {
  drop_watch();  // libpq may close its socket and open another within PQconnectPoll
  switch (PQconnectPoll(pg_.get())) {
    case PGRES_POLLING_READING:
      watch_socket(true, false);
      return;
    case PGRES_POLLING_WRITING:
      watch_socket(false, true);
      return;
    case PGRES_POLLING_OK:
      break;
    default:
      give_up_host(message());
      return;
  }
  on_established();
}

void Connection::on_established() {
  if (session::is_read_only(pg_.get())) {
    give_up_host(hosts_.list[host_].text() + " is read-only (a standby)");
    return;
  }
  if (PQsetnonblocking(pg_.get(), 1) != 0 || PQenterPipelineMode(pg_.get()) != 1) {
    give_up_host(message());
    return;
  }
  timer_->clear();
  proven_ = false;
  direct_ = false;
  has_settings_ = false;
  state_ = State::greeting;
  watch_socket(true, false);
  if (state_ != State::greeting)
    return;
  check_settings();
  if (observer_ == nullptr) {
    state_ = State::ready;
    first_ = hosts_.list[host_];
    end_abandoned();
  } else {
    observer_->connected(*this);
  }
  send_queued();
  if (established())
    pump();
}

/// Asks whether the session is that of the server and has the settings of session::startup_options(). If not,
/// they are sent with each statement; not with this one, from which they would hide those of the session.
void Connection::check_settings() {
  struct Check : Statement {
    Check(Connection &to, Params values) : Statement(session::kCheck, std::move(values)), owner(to) {}
    void finish(Result<Rows> rows) override {
      owner.direct_ = rows && rows->count() == 1 && rows->boolean(0, 0);
      owner.has_settings_ = owner.direct_ && rows->boolean(0, 1);
      owner.transmit_next();
    }
    Connection &owner;
  };
  Params params;
  params.int4(PQbackendPID(pg_.get()));
  auto check = std::make_unique<Check>(*this, std::move(params));
  check->greets = true;
  check->background = true;
  check->bare = true;
  send(std::move(check));
}

void Connection::accept() {
  if (state_ != State::greeting)
    return;
  state_ = State::ready;
  first_ = hosts_.list[host_];
  last_.reset();
  prove();
  end_abandoned();
  send_queued();
}

void Connection::on_deadline() {
  if (!sent_.empty())
    abandoned_ = {PQbackendPID(pg_.get()), sent_.front()->sql};
  lost("timeout waiting for a response");
}

/// A backend that waits for a lock or for a standby stays after its client has left, and each attempt would
/// add one.
void Connection::end_abandoned() {
  if (!abandoned_)
    return;
  Params params;
  params.int4(abandoned_->backend).text(abandoned_->sql);
  abandoned_.reset();
  send(std::make_unique<Send>(statements::kTerminate, std::move(params)));
}

/// Only now is the outage over: a pooler or a proxy accepts connections without a server behind it.
void Connection::prove() {
  if (std::exchange(proven_, true))
    return;
  backoff_.reset();
  trouble_.recover(std::string("reconnected to PostgreSQL (") + options_.role + ")");
}

void Connection::reject(const std::string &why) {
  if (!established())
    return;
  last_ = hosts_.list[host_];
  first_.reset();
  lost(why);
}

}  // namespace await::pg
