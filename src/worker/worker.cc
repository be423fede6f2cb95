#include "worker/worker.h"

#include <sys/wait.h>

#include <algorithm>

namespace await::worker {

Worker::Worker(io::PollLoop &loop, io::Log &log, io::Random &random, Client &client, Settings settings)
    : loop_(loop),
      log_(log),
      random_(random),
      client_(client),
      settings_(std::move(settings)),
      claim_timer_(loop.timer([this] { claim(); }, io::Loop::Quit::may)),
      second_timer_(loop.timer([this] { on_second(); }, io::Loop::Quit::may)),
      purge_timer_(loop.timer(
          [this] {
            client_.purge();
            purge_timer_->set(std::int64_t{3600} * 1000);
          },
          io::Loop::Quit::may)) {
  for (const std::string &queue : settings_.queues)
    client_.bus().subscribe_queue(queue, [this] { wake(); });
  client_.notify_bus().listen(
      [this](std::string_view queue) {
        if (queue.empty() ||
            std::find(settings_.queues.begin(), settings_.queues.end(), queue) != settings_.queues.end())
          wake();
      },
      [](std::string_view) {});
}

void Worker::wake() {
  woken_ = true;
  backoff_.reset();
  claim();
}

void Worker::start() {
  claim();
  second_timer_->set(1000);
  purge_timer_->set(5000);
}

void Worker::claim() {
  int free = settings_.concurrency - static_cast<int>(tasks_.size());
  if (claiming_ || draining_ || free <= 0)
    return;
  claiming_ = true;
  woken_ = false;
  claim_timer_->clear();
  client_.claim(settings_.queues, settings_.name, free, settings_.lease_ms,
                [this](Result<std::vector<ClaimedJob>> jobs) { claimed(std::move(jobs)); });
}

void Worker::claimed(Result<std::vector<ClaimedJob>> jobs) {
  claiming_ = false;
  if (!jobs) {
    look_later();
    return;
  }
  for (ClaimedJob &job : *jobs) {
    auto at = tasks_.emplace(tasks_.end());
    *at = std::make_unique<Task>(loop_, log_, client_, settings_.task, std::move(job), [this, at] {
      // must not be destroyed within its own call
      auto ended = std::make_shared<std::unique_ptr<Task>>(std::move(*at));
      tasks_.erase(at);
      claim_timer_->set(0);
      auto timer = std::make_shared<std::unique_ptr<io::Timer>>();
      *timer = loop_.timer(
          [ended, timer] {
            ended->reset();
            timer->reset();
          },
          io::Loop::Quit::may);
      (*timer)->set(0);
    });
    (*at)->start();
  }
  if (jobs->empty() && !woken_) {
    look_later();
  } else {
    backoff_.reset();
    claim();
  }
}

/// No jobs: claim again after a while, or when a hint arrives from Redis.
void Worker::look_later() {
  if (!draining_)
    claim_timer_->set(backoff_.next(random_.unit()));
}

void Worker::on_second() {
  second_timer_->set(1000);
  if (client_.connected())
    client_.tick();
}

void Worker::drain() {
  draining_ = true;
  claim_timer_->clear();
}

void Worker::stop() {
  drain();
  for (auto at = tasks_.begin(); at != tasks_.end();) {
    Task *task = (at++)->get();  // ending a task may remove it from the list
    task->abandon();
  }
}

void Worker::reap_children() {
  int status = 0;
  for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
    for (auto at = tasks_.begin(); at != tasks_.end();) {
      Task *task = (at++)->get();
      task->reaped(pid, status);
    }
  }
}

}  // namespace await::worker
