#include "worker/backend.h"

#include <algorithm>

namespace await::worker {

// An operator's URL may lead anywhere, and jobs cannot choose another one: there is nothing to guard.
Backend::Backend(io::Loop &loop, io::Log &log, io::Random &random, Options options,
                 std::function<void()> recovered)
    : loop_(loop),
      random_(random),
      options_(std::move(options)),
      recovered_(std::move(recovered)),
      client_(loop, {curl::AddressGuard::open(), options_.ca_file, "await-worker"}),
      outage_(loop, log) {
  for (const wire::BackendUrl &url : options_.urls)
    parts_[url.origin] = std::make_unique<io::Outage::Part>(outage_);
}

const wire::BackendUrl *Backend::find(const std::string &origin) const {
  if (origin.empty())
    return &options_.urls.front();
  auto at = std::find_if(options_.urls.begin(), options_.urls.end(),
                         [&](const wire::BackendUrl &url) { return url.origin == origin; });
  return at != options_.urls.end() ? &*at : nullptr;
}

bool Backend::ready() const { return away_.size() < parts_.size(); }

std::int64_t Backend::pause(const std::string &origin) const {
  auto at = away_.find(origin);
  return at != away_.end() ? at->second->pause_ms() : 0;
}

std::int64_t Backend::on_away(const std::string &origin, const std::string &why) {
  auto &probe = away_[origin];
  if (!probe) {
    probe = std::make_unique<Probe>(*this, origin);
    probe->fail(why);
  }
  return probe->pause_ms();
}

void Backend::on_answer(const std::string &origin) {
  bool was_ready = ready();
  if (away_.erase(origin) == 0)
    return;
  parts_[origin]->recover("the back end " + origin + " answers again");
  if (!was_ready)
    recovered_();
}

Backend::Probe::Probe(Backend &backend, const std::string &origin)
    : backend_(backend),
      origin_(origin),
      timer_(backend.loop_.timer([this] { connect(); }, io::Loop::Quit::may)) {}

void Backend::Probe::fail(const std::string &why) {
  backend_.parts_[origin_]->fail("cannot connect to the back end " + origin_ + ", jobs wait: " + why);
  pause_ms_ = backoff_.next(backend_.random_.unit());
  timer_->set(pause_ms_);
}

void Backend::Probe::connect() {
  curl::Request request;
  request.url = origin_ + "/";
  request.connect_ms = request.whole_ms = backend_.options_.connect_ms;
  request.connect_only = true;
  auto exchange = backend_.client_.start(std::move(request), *this);
  if (exchange)
    exchange_ = std::move(*exchange);
  else
    fail(exchange.error().detail);
}

void Backend::Probe::on_end(const curl::Ending &ending) {
  if (ending.failure != curl::Failure::none) {
    fail(ending.detail);
    return;
  }
  Backend &backend = backend_;
  std::string origin = origin_;
  backend.on_answer(origin);  // this was destroyed
}

}  // namespace await::worker
