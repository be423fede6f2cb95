#include "kafka/lookup.h"

#include <librdkafka/rdkafka.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <thread>
#include <utility>

#include "base/text.h"
#include "kafka/reason.h"

namespace await::kafka {
namespace {

constexpr int kPatienceMs = 4'000;

/// Of the partitions without a leader, the first one; -1: all have one.
int without_leader(const rd_kafka_metadata_topic_t &topic) {
  for (int i = 0; i < topic.partition_cnt; ++i) {
    if (topic.partitions[i].leader < 0)
      return topic.partitions[i].id;
  }
  return -1;
}

Result<Done> ask_topic(rd_kafka_t *kafka, const std::string &name) {
  rd_kafka_topic_t *topic = name.empty() ? nullptr : rd_kafka_topic_new(kafka, name.c_str(), nullptr);
  const rd_kafka_metadata_t *metadata = nullptr;
  rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 0, topic, &metadata, kPatienceMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && topic != nullptr)
    error = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  int partition =
      error == RD_KAFKA_RESP_ERR_NO_ERROR && topic != nullptr ? without_leader(metadata->topics[0]) : -1;
  if (metadata != nullptr)
    rd_kafka_metadata_destroy(metadata);
  if (topic != nullptr)
    rd_kafka_topic_destroy(topic);
  if (partition >= 0)
    return Error{Code::unavailable, "topic " + name + ": partition " + std::to_string(partition) +
                                        " has no leader: start the brokers that have it"};
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
    return Done{};
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
    return Error{Code::not_found, "topic " + name + " does not exist: create it"};
  return Error{Code::unavailable,
               (name.empty() ? "" : "topic " + name + ": ") + rd_kafka_err2str(error) + remedy_for(error)};
}

/// Which of the brokers have no address, and what to do; empty: all have. Counts those that have.
std::string unknown_names(std::string_view brokers, int &known) {
  std::string out;
  while (!brokers.empty()) {
    std::string_view broker = cut(brokers, ',');
    std::size_t colon = broker.ends_with(']') ? std::string_view::npos : broker.rfind(':');
    std::string host(broker.substr(0, colon));
    if (host.starts_with('['))
      host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (found != nullptr)
      ::freeaddrinfo(found);
    if (error == 0)
      ++known;
    else
      out += (out.empty() ? "broker " : ", broker ") + std::string(broker) + " has no address (" +
             ::gai_strerror(error) + ")";
  }
  return out.empty() ? out : out + ": correct the name, or what resolves it";
}

Result<Done> ask_topics(rd_kafka_t *kafka, const std::vector<std::string> &topics) {
  Result<Done> outcome = Done{};
  for (const std::string &topic : topics) {
    if (outcome)
      outcome = ask_topic(kafka, topic);
  }
  // the reason why no broker answers comes as an event
  rd_kafka_queue_t *queue = rd_kafka_queue_get_main(kafka);
  rd_kafka_event_t *event = outcome ? nullptr : rd_kafka_queue_poll(queue, 0);
  if (event != nullptr && rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR && !outcome &&
      outcome.error().code == Code::unavailable)
    outcome = Error{Code::unavailable,
                    reason_of(rd_kafka_event_error_string(event)) +
                        remedy_for(rd_kafka_event_error(event), rd_kafka_event_error_string(event))};
  if (event != nullptr)
    rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  return outcome;
}

}  // namespace

/// Deleted by whoever comes last, the thread or the owner.
struct Lookup::Job {
  Settings settings;
  std::vector<std::string> topics;  ///< an empty name: only whether a broker answers; none: only their names
  int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::mutex mutex;
  bool other_gone = false;
  Result<Done> outcome = Done{};

  /// Whether the other one still uses it; if not, it is deleted.
  void leave() {
    std::unique_lock lock(mutex);
    if (!std::exchange(other_gone, true))
      return;
    lock.unlock();
    ::close(fd);
    delete this;
  }
};

Lookup::~Lookup() { forget(); }

void Lookup::forget() {
  watch_.reset();
  if (job_ != nullptr)
    std::exchange(job_, nullptr)->leave();
}

void Lookup::ask(const Settings &settings, const std::vector<std::string> &topics, core::Reply<Done> &reply) {
  begin(new Job{settings, topics.empty() ? std::vector<std::string>{""} : topics}, reply);
}

void Lookup::find_names(const Settings &settings, core::Reply<Done> &reply) {
  begin(new Job{settings, {}}, reply);
}

void Lookup::begin(Job *job, core::Reply<Done> &reply) {
  forget();
  waiting_.push_back(reply);
  job_ = job;
  watch_ = loop_.watch(job_->fd, [this] { on_answer(); });
  watch_->want(true, false);
  count_thread(1);
  std::thread([job] { run(*job); }).detach();
}

void Lookup::run(Job &job) {
  int known = 0;
  std::string unknown = unknown_names(job.settings.brokers, known);
  rd_kafka_t *kafka = nullptr;
  if (known > 0 && !job.topics.empty()) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    Properties all = job.settings.properties;
    all.emplace_back("bootstrap.servers", job.settings.brokers);
    all.emplace_back("log_level", "0");
    for (const auto &[name, value] : all)
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0);
    char why[512] = "";
    kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (kafka == nullptr) {
      rd_kafka_conf_destroy(conf);
      job.outcome = Error{Code::invalid, why};
    } else {
      job.outcome = ask_topics(kafka, job.topics);
    }
  }
  if (!unknown.empty())
    job.outcome =
        Error{Code::unavailable, unknown + (job.outcome ? "" : "; others: " + job.outcome.error().detail)};
  const std::uint64_t one = 1;
  static_cast<void>(::write(job.fd, &one, sizeof one) > 0);
  job.leave();
  if (kafka != nullptr)
    rd_kafka_destroy(kafka);
  count_thread(-1);
}

void Lookup::on_answer() {
  std::uint64_t count = 0;
  if (::read(job_->fd, &count, sizeof count) < 0)
    return;
  std::unique_lock lock(job_->mutex);
  Result<Done> outcome = job_->outcome;
  lock.unlock();
  forget();
  if (core::Reply<Done> *reply = waiting_.pop_front())
    reply->deliver(std::move(outcome));
}

}  // namespace await::kafka
