// Connecting: hosts one after the other, the checks of a new session, and what an outage brings.

#include <algorithm>

#include "pg/call.h"
#include "pg/connection.h"
#include "pg/session.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

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
  Link::Session session;
  session.name = std::string("nginx-await-") + options_.role;
  if (!plain_)
    session.settings = session::startup_options(options_.timeout_ms);
  // a server that is busy reads nothing: what is sent behind a long statement may wait as long as that
  session.unread_ms = std::max(kLeastUnreadMs, options_.timeout_ms);
  if (!link_.begin(hosts_, hosts_.list[host_], session, on_notice, this)) {
    give_up_host(link_.failure());
    return;
  }
  timer_->set(share_ms());
}

std::int64_t Connection::share_ms() const {
  if (hosts_.connect_timeout_ms > 0)
    return hosts_.connect_timeout_ms;
  return hosts_.list.size() > 1 ? options_.share_ms : options_.connect_ms;
}

/// Tries the next host; after the last one, waits.
void Connection::give_up_host(const std::string &why) {
  link_.close();
  if (!plain_ && session::refuses_startup(why)) {
    plain_ = true;
    connect_to_host();
    return;
  }
  reasons_.add(why);
  if (++host_ < hosts_.list.size()) {
    plain_ = false;
    connect_to_host();
    return;
  }
  last_.reset();
  wait_to_connect("cannot connect to", reasons_.text());
}

void Connection::watch_socket(bool readable, bool writable) {
  if (!link_.watch(readable, writable))
    lost(link_.failure());
}

void Connection::on_socket() {
  if (state_ == State::connecting)
    poll_connect();
  else
    pump();
}

void Connection::poll_connect() {
  Link::Step step = link_.step();
  if (step == Link::Step::failed)
    give_up_host(link_.failure());
  else if (step == Link::Step::established)
    on_established();
}

void Connection::on_established() {
  if (session::is_read_only(link_.get())) {
    give_up_host(hosts_.list[host_].text() + " is read-only (a standby)");
    return;
  }
  if (PQsetnonblocking(link_.get(), 1) != 0 || PQenterPipelineMode(link_.get()) != 1) {
    give_up_host(link_.failure());
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
  params.int4(PQbackendPID(link_.get()));
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
    abandoned_ = {PQbackendPID(link_.get()), sent_.front()->sql};
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
