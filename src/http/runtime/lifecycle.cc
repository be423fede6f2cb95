#include "http/runtime/lifecycle.h"

#include <algorithm>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/siphash.h"
#include "http/conf/conf.h"
#include "ngx/guard.h"

namespace await::http {
namespace {

constexpr std::int64_t kDrainStepMs = 100;
constexpr std::size_t kDrainAtLeast = 50;  // requests in one step

/// 0: no owner.
std::uint64_t tag_of(std::string_view owner) { return owner.empty() ? 0 : siphash(hash_seed(), owner) | 1; }

}  // namespace

Lifecycle::Lifecycle(ngx::Loop &loop, Counters &counters, core::AccessStore &store, std::int64_t drain_ms)
    : loop_(loop),
      counters_(counters),
      revocations_(store, core::Callback<const std::string &>::to<&Lifecycle::on_revoked>(this)),
      drain_ms_(drain_ms),
      drain_timer_(loop.timer([this] { drain_step(); }, io::Loop::Quit::must_not)) {
  watch_shutdown();
}

Lifecycle::~Lifecycle() {
  if (shutdown_ != nullptr) {
    ngx_free_connection(shutdown_);
    shutdown_->fd = static_cast<ngx_socket_t>(-1);
  }
  if (shutdown_fd_ >= 0)
    ::close(shutdown_fd_);
}

/// nginx tells no module that a worker shuts down gracefully, but the worker closes its idle connections
/// then. This is one, of an eventfd instead of a client.
void Lifecycle::watch_shutdown() {
  shutdown_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  shutdown_ = shutdown_fd_ >= 0 ? ngx_get_connection(shutdown_fd_, ngx_cycle->log) : nullptr;
  if (shutdown_ == nullptr)
    return;
  shutdown_->data = this;
  shutdown_->idle = 1;
  shutdown_->read->log = shutdown_->write->log = ngx_cycle->log;
  shutdown_->read->handler = shutdown_->write->handler = [](ngx_event_t *event) {
    auto *connection = static_cast<ngx_connection_t *>(event->data);
    if (connection->close) {
      connection->close = 0;
      ngx::guarded(event->log, [&] { static_cast<Lifecycle *>(connection->data)->on_shutdown(); });
    }
  };
}

void Lifecycle::register_held(ngx::Held &held) {
  held.set_owner_tag(tag_of(owner_of(held.request()).value_or("")));
  (draining_ ? drained_ : active_).push_back(held);
}

void Lifecycle::on_revoked(const std::string &owner) {
  std::uint64_t tag = tag_of(owner);
  HeldList theirs;
  for (auto *list : {&active_, &drained_}) {
    list->each([&](ngx::Held &one) {
      if (tag != 0 && one.owner_tag() == tag && !one.finished())
        theirs.push_back(one);
    });
  }
  while (ngx::Held *one = theirs.pop_front()) {  // revoke() may destroy it and others
    (draining_ ? drained_ : active_).push_back(*one);
    counters_.count(Counter::revoked);
    one->revoke();
  }
}

void Lifecycle::on_shutdown() {
  draining_ = true;
  drain_began_ms_ = loop_.monotonic_ms();
  std::size_t n = 0;
  active_.each([&](ngx::Held &) { ++n; });
  auto steps = static_cast<std::size_t>(std::max<std::int64_t>(1, drain_ms_ / 2 / kDrainStepMs));
  drain_count_ = std::max(kDrainAtLeast, n / steps + 1);
  drain_step();
}

void Lifecycle::drain_step() {
  std::int64_t passed = loop_.monotonic_ms() - drain_began_ms_;
  for (std::size_t i = 0; i < drain_count_; ++i) {
    ngx::Held *one = active_.front();
    if (one == nullptr)
      break;
    drained_.push_back(*one);
    if (!one->finished())
      one->drain();
  }
  HeldList late;  // a call may destroy others
  if (passed >= drain_ms_ * 4 / 5)
    late.take_all(drained_);
  while (ngx::Held *one = late.pop_front()) {
    drained_.push_back(*one);
    if (passed >= drain_ms_) {
      counters_.count(Counter::cut);
      one->cut();
    } else if (!one->finished()) {
      one->give_up();
    }
  }
  if (!active_.empty() || !drained_.empty())
    drain_timer_->set(kDrainStepMs);
}

}  // namespace await::http
