#include "kafka/handle.h"

#include <librdkafka/rdkafka.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace await::kafka {
namespace {

using Conf = std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)>;

Result<Done> set(rd_kafka_conf_t *conf, const std::string &name, const std::string &value) {
  char why[512] = "";
  rd_kafka_conf_res_t outcome = rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why);
  if (outcome == RD_KAFKA_CONF_OK)
    return Done{};
  return Error{outcome == RD_KAFKA_CONF_UNKNOWN ? Code::not_found : Code::invalid, why};
}

Result<Done> fill(rd_kafka_conf_t *conf, Kind kind, const Settings &settings, const Properties &fixed) {
  Properties all = fixed;
  all.insert(all.end(), settings.properties.begin(), settings.properties.end());
  all.emplace_back("bootstrap.servers", settings.brokers);
  all.emplace_back("log.queue", "true");  // no thread calls us
  for (const auto &[name, value] : all) {
    if (auto done = set(conf, name, value); !done)
      return done;
  }
  rd_kafka_conf_set_events(conf, kind == Kind::producer
                                     ? RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG
                                     : RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE |
                                           RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR |
                                           RD_KAFKA_EVENT_LOG);
  return Done{};
}

rd_kafka_type_t type_of(Kind kind) { return kind == Kind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER; }

/// The handles whose threads have not ended.
struct Living {
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;

  void add(int n) {
    std::lock_guard lock(mutex);
    count += n;
    changed.notify_all();
  }
};
Living &living() {
  static Living *one = new Living;  // threads may outlive the destructors of static objects
  return *one;
}

}  // namespace

Result<Done> check(const Settings &settings) {
  Conf conf(rd_kafka_conf_new(), &rd_kafka_conf_destroy);
  return fill(conf.get(), Kind::producer, settings, {});
}

Result<std::unique_ptr<Handle>> Handle::open(io::Loop &loop, Kind kind, const Settings &settings,
                                             const Properties &fixed, Listener &listener) {
  Conf conf(rd_kafka_conf_new(), &rd_kafka_conf_destroy);
  if (auto filled = fill(conf.get(), kind, settings, fixed); !filled)
    return filled.error();
  int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0)
    return Error{Code::internal, "no descriptor is left for Kafka"};
  char why[512] = "";
  rd_kafka_t *kafka = rd_kafka_new(type_of(kind), conf.get(), why, sizeof why);
  if (kafka == nullptr) {
    ::close(fd);
    return Error{Code::invalid, why};
  }
  static_cast<void>(conf.release());  // is the instance's now
  rd_kafka_set_log_queue(kafka, nullptr);
  if (kind == Kind::consumer)
    rd_kafka_poll_set_consumer(kafka);
  rd_kafka_queue_t *queue =
      kind == Kind::consumer ? rd_kafka_queue_get_consumer(kafka) : rd_kafka_queue_get_main(kafka);
  return std::unique_ptr<Handle>(new Handle(loop, kafka, queue, fd, listener));
}

Handle::Handle(io::Loop &loop, rd_kafka_s *kafka, rd_kafka_queue_s *queue, int fd, Listener &listener)
    : kafka_(kafka),
      queue_(queue),
      fd_(fd),
      listener_(listener),
      watch_(loop.watch(fd, [this] { on_readable(); })) {
  living().add(1);
  const std::uint64_t one = 1;
  rd_kafka_queue_io_event_enable(queue_, fd_, &one, sizeof one);
  watch_->want(true, false);
  // what came before is not reported
  static_cast<void>(::write(fd_, &one, sizeof one) > 0);
}

Handle::~Handle() {
  watch_.reset();
  rd_kafka_queue_io_event_enable(queue_, -1, nullptr, 0);
  // the threads may be about to write: the descriptor is closed after they have ended
  std::thread([kafka = kafka_, queue = queue_, fd = fd_] {
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy_flags(kafka, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    ::close(fd);
    living().add(-1);
  }).detach();
}

void Handle::on_readable() {
  std::uint64_t count = 0;
  static_cast<void>(::read(fd_, &count, sizeof count) > 0);
  for (int n = 0; n < kEvents; ++n) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue_, 0);
    if (event == nullptr)
      return;
    listener_.on_event(event);
    rd_kafka_event_destroy(event);
  }
  // others first: the descriptor is written to only when an empty queue gets an event
  const std::uint64_t one = 1;
  static_cast<void>(::write(fd_, &one, sizeof one) > 0);
}

void count_thread(int change) { living().add(change); }

bool wait_closed(int ms) {
  std::unique_lock lock(living().mutex);
  return living().changed.wait_for(lock, std::chrono::milliseconds(ms), [] { return living().count == 0; });
}

}  // namespace await::kafka
