#include "ngx/loop.h"

#include "ngx/guard.h"

namespace await::ngx {
namespace {

class FdWatcher : public io::FdWatcher {
 public:
  FdWatcher(ngx_connection_t *connection, std::function<void()> ready)
      : connection_(connection), ready_(std::move(ready)) {
    connection_->data = this;
    connection_->read->handler = on_event;
    connection_->write->handler = on_event;
    connection_->read->log = connection_->write->log = connection_->log;
  }

  ~FdWatcher() override {
    want(false, false);
    for (ngx_event_t *event : {connection_->read, connection_->write}) {
      if (event->posted) {
        ngx_delete_posted_event(event);
      }
    }
    ngx_free_connection(connection_);
    connection_->fd = static_cast<ngx_socket_t>(-1);  // the descriptor is closed by its owner
  }

  void want(bool readable, bool writable) override {
    set(connection_->read, NGX_READ_EVENT, readable);
    set(connection_->write, NGX_WRITE_EVENT, writable);
  }

  void closed() override { connection_->read->active = connection_->write->active = 0; }

 private:
  // level-triggered: libpq may leave bytes in its socket
  static void set(ngx_event_t *event, ngx_int_t kind, bool wanted) {
    if (wanted && !event->active) {
      ngx_add_event(event, kind, NGX_LEVEL_EVENT);
    } else if (!wanted && event->active) {
      ngx_del_event(event, kind, 0);
    }
  }

  static void on_event(ngx_event_t *event) noexcept {
    auto *connection = static_cast<ngx_connection_t *>(event->data);
    auto *self = static_cast<FdWatcher *>(connection->data);
    auto ready = self->ready_;  // a copy: the call may destroy the watch
    guarded(event->log, ready);
  }

  ngx_connection_t *connection_;
  std::function<void()> ready_;
};

class Timer : public io::Timer {
 public:
  Timer(ngx_log_t *log, std::function<void()> fire, bool cancelable) : fire_(std::move(fire)) {
    event_.data = &connection_;  // debug builds print the fd of every timer's connection
    event_.handler = on_event;
    event_.log = log;
    event_.cancelable = cancelable ? 1 : 0;
    connection_.fd = static_cast<ngx_socket_t>(-1);
    connection_.data = this;
  }
  ~Timer() override { clear(); }

  void set(std::int64_t ms) override { ngx_add_timer(&event_, static_cast<ngx_msec_t>(ms)); }
  void clear() override {
    if (event_.timer_set) {
      ngx_del_timer(&event_);
    }
  }
  bool pending() const override { return event_.timer_set != 0; }

 private:
  static void on_event(ngx_event_t *event) noexcept {
    auto *self = static_cast<Timer *>(static_cast<ngx_connection_t *>(event->data)->data);
    auto fire = self->fire_;
    guarded(event->log, fire);
  }

  ngx_event_t event_{};
  ngx_connection_t connection_{};
  std::function<void()> fire_;
};

}  // namespace

Loop::Loop(ngx_log_t *log) : log_(log) {
  posted_.data = this;
  posted_.log = log;
  posted_.handler = [](ngx_event_t *event) {
    auto *self = static_cast<Loop *>(event->data);
    self->run_tasks(self->tasks_);
  };
  posted_next_.data = this;
  posted_next_.log = log;
  posted_next_.handler = [](ngx_event_t *event) {
    auto *self = static_cast<Loop *>(event->data);
    self->run_tasks(self->next_tasks_);
  };
}

Loop::~Loop() {
  for (ngx_event_t *event : {&posted_, &posted_next_}) {
    if (event->posted) {
      ngx_delete_posted_event(event);
    }
  }
}

void Loop::post(io::Task &task) {
  tasks_.push_back(task);
  ngx_post_event(&posted_, &ngx_posted_events);
}

void Loop::post_next(io::Task &task) {
  next_tasks_.push_back(task);
  ngx_post_event(&posted_next_, &ngx_posted_next_events);
}

void Loop::run_tasks(List<io::Task> &tasks) {
  List<io::Task> now;  // tasks that they post run after them
  now.take_all(tasks);
  while (io::Task *task = now.pop_front())
    guarded(log_, [task] { task->run(); });
}

std::unique_ptr<io::FdWatcher> Loop::watch(int fd, std::function<void()> ready) {
  ngx_connection_t *connection = ngx_get_connection(fd, log_);
  if (connection == nullptr)
    return nullptr;
  return std::make_unique<FdWatcher>(connection, std::move(ready));
}

std::unique_ptr<io::Timer> Loop::timer(std::function<void()> fire, Quit quit) {
  return std::make_unique<Timer>(log_, std::move(fire), quit == Quit::may);
}

std::int64_t Loop::unix_ms() const {
  ngx_time_t *now = ngx_timeofday();
  return static_cast<std::int64_t>(now->sec) * 1000 + static_cast<std::int64_t>(now->msec);
}

}  // namespace await::ngx
