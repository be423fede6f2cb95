#include "worker/worker.h"

#include <sys/wait.h>

#include <algorithm>

#include "worker/http_task.h"

namespace await::worker {

Worker::Worker(io::PollLoop &loop, io::Log &log, io::Random &random, Client &client, Settings settings)
    : loop_(loop),
      log_(log),
      random_(random),
      client_(client),
      settings_(std::move(settings)),
      claim_timer_(loop.timer([this] { claim(); }, io::Loop::Quit::may)),
      second_timer_(loop.timer([this] { on_second(); }, io::Loop::Quit::may)),
      beat_timer_(loop.timer([this] { beat(); }, io::Loop::Quit::may)),
      purge_timer_(loop.timer(
          [this] {
            client_.purge();
            purge_timer_->set(std::int64_t{3600} * 1000);
          },
          io::Loop::Quit::may)) {
  if (!settings_.http.urls.empty())
    backend_ = std::make_unique<Backend>(loop, log, random, settings_.http, [this] { wake(); });
  client_.bus().subscribe_cancels([this](std::string_view job) { on_cancel(job); });
  for (const std::string &queue : settings_.queues)
    client_.bus().subscribe_queue(queue, [this] { wake(); });
  client_.notify_bus().listen(
      [this](std::string_view queue) {
        if (queue.empty() ||
            std::find(settings_.queues.begin(), settings_.queues.end(), queue) != settings_.queues.end())
          wake();
      },
      [this](std::string_view job) { on_cancel(job); });
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
  bool away = backend_ && !backend_->ready();
  if (claiming_ || draining_ || free <= 0 || away)
    return;  // when the back end is there again, wake() follows
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
  for (ClaimedJob &job : *jobs)
    run(std::move(job));
  if (jobs->empty() && !woken_) {
    look_later();
  } else {
    backoff_.reset();
    claim();
  }
}

std::unique_ptr<Task> Worker::task_for(ClaimedJob job, Tasks::iterator at) {
  Task::Context context{loop_, log_, random_, client_};
  auto done = [this, at] { ended(at); };
  if (backend_)
    return std::make_unique<HttpTask>(context, *backend_, std::move(job), done);
  return std::make_unique<CommandTask>(context, settings_.task, std::move(job), done);
}

void Worker::run(ClaimedJob job) {
  auto at = tasks_.emplace(tasks_.end());
  beat_within(beat_ms(job));
  *at = task_for(std::move(job), at);
  (*at)->start();
}

void Worker::ended(Tasks::iterator at) {
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
}

/// A message proves nothing, so it is a reason to ask.
/// @param job  empty: cancels may have been missed
void Worker::on_cancel(std::string_view job) {
  std::vector<Task *> tasks;
  for (auto &task : tasks_) {
    if (task->holds() && (job.empty() || task->job().id.text() == job))
      tasks.push_back(task.get());
  }
  ask(tasks);
}

void Worker::ask(const std::vector<Task *> &tasks) {
  std::vector<const ClaimedJob *> jobs;
  for (Task *task : tasks)
    jobs.push_back(&task->job());
  if (!jobs.empty())
    client_.heartbeats(jobs, [this, n = jobs.size()](const Result<std::map<std::string, Lease>> &leases) {
      told(n, leases);
    });
}

void Worker::told(std::size_t asked, const Result<std::map<std::string, Lease>> &leases) {
  if (!leases) {
    if (!told_unrenewed_)
      log_.error("cannot renew the leases of " + std::to_string(asked) +
                 " running jobs, retrying: " + leases.error().detail);
    told_unrenewed_ = true;
    beat_within(1000);
    return;
  }
  told_unrenewed_ = false;
  for (auto at = tasks_.begin(); at != tasks_.end();) {
    Task *task = (at++)->get();  // a task that ends is removed from the list
    if (auto lease = leases->find(task->job().receipt); lease != leases->end())
      task->leased(lease->second);
  }
}

/// Renews all leases.
void Worker::beat() {
  std::vector<Task *> tasks;
  for (auto &task : tasks_) {
    if (task->holds())
      tasks.push_back(task.get());
  }
  ask(tasks);
  for (Task *task : tasks)
    beat_within(beat_ms(task->job()));
}

/// Sets the timer of the next heartbeat, unless it comes sooner.
void Worker::beat_within(std::int64_t ms) {
  std::int64_t at = loop_.monotonic_ms() + ms;
  if (beat_timer_->pending() && beat_at_ <= at)
    return;
  beat_at_ = at;
  beat_timer_->set(ms);
}

std::int64_t Worker::beat_ms(const ClaimedJob &job) {
  return std::clamp(job.lease_ms / 3, kMinBeatMs, kMaxBeatMs);
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
    Task *task = (at++)->get();  // a task that ends is removed from the list
    task->abandon();
  }
}

/// Their supervisors; what became of the commands they have said themselves.
void Worker::reap_children() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

}  // namespace await::worker
