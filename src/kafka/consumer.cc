#include "kafka/consumer.h"

#include <librdkafka/rdkafka.h>

#include <utility>

#include "kafka/reason.h"

namespace await::kafka {
namespace {

const Properties kFixed = {
    {"client.id", "await-relay"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"},
    {"allow.auto.create.topics", "false"},
    {"enable.partition.eof", "true"},  // which says that a partition can be read, if it has no more messages
    {"queued.max.messages.kbytes", "16384"},
    {"queued.min.messages", "10000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"socket.timeout.ms", "20000"},
    {"topic.metadata.refresh.interval.ms", "10000"},  // a topic that is created later is found
    {"log.connection.close", "false"},
};

using List =
    std::unique_ptr<rd_kafka_topic_partition_list_t, decltype(&rd_kafka_topic_partition_list_destroy)>;

List make_list(int size) {
  return {rd_kafka_topic_partition_list_new(size), &rd_kafka_topic_partition_list_destroy};
}

/// Of which an error is; {"", -1}: of none in particular.
Partition partition_of(rd_kafka_event_t *event) {
  rd_kafka_topic_partition_t *one = rd_kafka_event_topic_partition(event);
  if (one == nullptr)
    return {"", -1};
  Partition out = one->partition < 0 ? Partition{"", -1} : Partition{one->topic, one->partition};
  rd_kafka_topic_partition_destroy(one);
  return out;
}

void drop(rd_kafka_error_t *error) {
  if (error != nullptr)
    rd_kafka_error_destroy(error);
}

std::optional<std::string> bytes_of(const void *bytes, std::size_t size) {
  return bytes == nullptr ? std::nullopt
                          : std::optional<std::string>(std::in_place, static_cast<const char *>(bytes), size);
}

Received received_of(const rd_kafka_message_t &message) {
  Received out;
  out.topic = rd_kafka_topic_name(message.rkt);
  out.partition = message.partition;
  out.offset = message.offset;
  rd_kafka_timestamp_type_t type{};
  out.at_ms = rd_kafka_message_timestamp(&message, &type);
  out.key = bytes_of(message.key, message.key_len);
  out.value = bytes_of(message.payload, message.len);
  rd_kafka_headers_t *headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return out;
  const char *name = nullptr;
  const void *value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i)
    out.headers.emplace_back(name, bytes_of(value, size));
  return out;
}

}  // namespace

Consumer::Consumer(io::Loop &loop, io::Log &log, std::string name, Settings settings, std::string topic,
                   std::string group, Listener &listener)
    : loop_(loop),
      log_(log),
      name_(std::move(name)),
      settings_(std::move(settings)),
      topic_(std::move(topic)),
      group_(std::move(group)),
      listener_(listener),
      outage_(loop, log),
      commit_outage_(loop, log),
      reset_outage_(loop, log),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

Consumer::~Consumer() = default;

Result<Done> Consumer::start() {
  Properties fixed = kFixed;
  fixed.emplace_back("group.id", group_);
  auto handle = Handle::open(loop_, Kind::consumer, settings_, fixed, *this);
  if (!handle)
    return handle.error();
  handle_ = std::move(*handle);
  stop_at_ms_ = 0;
  List topics = make_list(1);
  rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t error = rd_kafka_subscribe(handle_->get(), topics.get());
  timer_->set(kCommitMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
    return Done{};
  close();
  return Error{Code::invalid, rd_kafka_err2str(error)};
}

void Consumer::stop() {
  if (!handle_)
    close();
  if (!handle_ || stop_at_ms_ != 0)
    return;
  commit();
  stop_at_ms_ = loop_.monotonic_ms() + kStopMs;
  drop(rd_kafka_consumer_close_queue(handle_->get(), handle_->queue()));
  timer_->set(10);
}

void Consumer::close() {
  handle_.reset();
  offsets_ = {};
  failing_.clear();
  timer_->clear();
  broken_ = false;
}

void Consumer::pause() { set_paused(true); }
void Consumer::resume() { set_paused(false); }

void Consumer::set_paused(bool paused) {
  if (std::exchange(paused_, paused) == paused || !handle_)
    return;
  rd_kafka_topic_partition_list_t *assigned = nullptr;
  if (rd_kafka_assignment(handle_->get(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  List list(assigned, &rd_kafka_topic_partition_list_destroy);
  if (paused)
    rd_kafka_pause_partitions(handle_->get(), list.get());
  else
    rd_kafka_resume_partitions(handle_->get(), list.get());
}

void Consumer::done(const Partition &partition, std::int64_t offset) { offsets_.done(partition, offset); }

std::int64_t Consumer::behind() const {
  rd_kafka_topic_partition_list_t *assigned = nullptr;
  if (!handle_ || rd_kafka_assignment(handle_->get(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return 0;
  List list(assigned, &rd_kafka_topic_partition_list_destroy);
  rd_kafka_position(handle_->get(), list.get());
  auto out = static_cast<std::int64_t>(offsets_.open());
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t &one = list->elems[i];
    std::int64_t low = 0;
    std::int64_t high = 0;
    // what the last answer of its broker said: nobody is asked
    if (rd_kafka_get_watermark_offsets(handle_->get(), one.topic, one.partition, &low, &high) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        one.offset >= 0 && high > one.offset)
      out += high - one.offset;
  }
  return out;
}

void Consumer::on_event(rd_kafka_op_s *event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_FETCH:
      on_messages(event);
      break;
    case RD_KAFKA_EVENT_REBALANCE:
      on_rebalance(event);
      break;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
      on_commit(event);
      break;
    case RD_KAFKA_EVENT_ERROR:
      on_error(rd_kafka_event_error(event), partition_of(event), rd_kafka_event_error_string(event));
      broken_ = broken_ || rd_kafka_event_error_is_fatal(event) != 0;
      break;
    case RD_KAFKA_EVENT_LOG:
      if (std::string reset = reset_of(event); !reset.empty())
        resets_.fail(name_ +
                     ": messages were removed before they were read, or the topic is another one: " + reset);
      log_event(log_, name_, event);
      break;
    default:
      break;
  }
}

void Consumer::on_commit(rd_kafka_op_s *event) {
  int error = rd_kafka_event_error(event);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    commit_trouble_.recover(name_ + ": offsets are committed again");
    return;
  }
  if (const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event)) {
    for (int i = 0; i < list->cnt; ++i)
      offsets_.put_back({list->elems[i].topic, list->elems[i].partition}, list->elems[i].offset);
  }
  if (stop_at_ms_ == 0)
    commit_trouble_.fail(name_ + ": cannot commit offsets, so that messages may come again: " +
                         reason_of(rd_kafka_event_error_string(event)) + remedy_for(error));
}

void Consumer::on_messages(rd_kafka_op_s *event) {
  while (const rd_kafka_message_t *message = rd_kafka_event_message_next(event)) {
    if (stop_at_ms_ != 0)
      continue;
    Received received = received_of(*message);
    silence_.clear();
    if (trouble_.failing())
      works({received.topic, received.partition});
    offsets_.received({received.topic, received.partition}, received.offset);
    listener_.on_message(std::move(received));
  }
}

/// A partition can be read: it has given a message, or has no more.
void Consumer::works(const Partition &partition) {
  failing_.erase(partition);
  failing_.erase({"", -1});
  if (failing_.empty())
    trouble_.recover(name_ + ": messages are received again");
}

void Consumer::assign(rd_kafka_topic_partition_list_t *list) {
  for (int i = 0; i < list->cnt; ++i)
    offsets_.forget({list->elems[i].topic, list->elems[i].partition});
  rd_kafka_assign(handle_->get(), list);
  commit_trouble_.recover(name_ + ": messages whose offsets were not committed are received again");
  if (paused_)
    rd_kafka_pause_partitions(handle_->get(), list);
}

/// A partition whose committed offset could not be read is not read by librdkafka until it is assigned again.
void Consumer::assign_again() {
  rd_kafka_topic_partition_list_t *assigned = nullptr;
  assign_at_ms_ = loop_.monotonic_ms() + kAssignMs;
  if (rd_kafka_assignment(handle_->get(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  List list(assigned, &rd_kafka_topic_partition_list_destroy);
  for (int i = 0; i < list->cnt; ++i)
    list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;  // from the committed one on
  if (list->cnt > 0)
    assign(list.get());
}

void Consumer::on_rebalance(rd_kafka_op_s *event) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && stop_at_ms_ == 0) {
    assign(list);
    failing_.clear();
    trouble_.recover(name_ + ": has partitions again");
    return;
  }
  commit();
  offsets_ = {};
  rd_kafka_assign(handle_->get(), nullptr);
}

void Consumer::on_error(int error, const Partition &partition, const std::string &why) {
  if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    silence_.clear();
    works(partition);
    return;
  }
  std::string reason = reason_of(why) + remedy_for(error, why);
  if (!trouble_.failing())
    assign_at_ms_ = loop_.monotonic_ms() + kAssignMs;
  bool is_silence = error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__RESOLVE ||
                    error == RD_KAFKA_RESP_ERR__TIMED_OUT;
  if (!is_silence)
    failing_.insert(partition);
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
    trouble_.fail(name_ + ": no broker can be reached: " + silence_);
  else if (!is_silence)
    trouble_.fail(name_ + ": " + reason);
  else if (!same_but_for_the_broker(reason, silence_))
    silence_ = std::move(reason);  // one broker of several may be away
}

/// Runs all the time: commits, and starts again after an error.
void Consumer::on_timer() {
  if (stop_at_ms_ != 0) {
    bool closed = rd_kafka_consumer_closed(handle_->get()) != 0;
    if (closed || loop_.monotonic_ms() >= stop_at_ms_)
      close();
    else
      timer_->set(10);
    return;
  }
  if (broken_) {
    close();
    if (auto started = start(); !started) {
      trouble_.fail(name_ + ": " + started.error().detail);
      broken_ = true;
      timer_->set(kRestartMs);
    }
    return;
  }
  handle_->poll();
  commit();
  if (trouble_.failing() && loop_.monotonic_ms() >= assign_at_ms_)
    assign_again();
  timer_->set(kCommitMs);
}

void Consumer::commit() {
  auto next = offsets_.take();
  if (next.empty())
    return;
  List list = make_list(static_cast<int>(next.size()));
  for (const auto &[partition, offset] : next)
    rd_kafka_topic_partition_list_add(list.get(), partition.first.c_str(), partition.second)->offset = offset;
  rd_kafka_commit_queue(handle_->get(), list.get(), handle_->queue(), nullptr, nullptr);
}

}  // namespace await::kafka
