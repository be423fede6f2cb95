#include "kafka/producer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kafka/reason.h"

namespace await::kafka {
namespace {

const Properties kFixed = {
    {"client.id", "await-relay"},
    {"enable.idempotence", "true"},
    {"enable.gapless.guarantee", "true"},
    {"message.timeout.ms", "0"},        // a message that timed out would leave a gap
    {"partitioner", "murmur2_random"},  // as Java's clients have it
    {"linger.ms", "1"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"socket.timeout.ms", "20000"},
    {"topic.metadata.propagation.max.ms", "5000"},
    {"log.connection.close", "false"},
};

/// Whether the error only follows from another one.
bool is_consequence(int error) {
  return error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
         error == RD_KAFKA_RESP_ERR__FATAL || error == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
}

/// Headers for one message, or null if there is no memory.
rd_kafka_headers_t *make_headers(const Headers &headers) {
  rd_kafka_headers_t *out = rd_kafka_headers_new(headers.size());
  for (const auto &[name, value] : headers) {
    rd_kafka_header_add(out, name.data(), static_cast<ssize_t>(name.size()), value ? value->data() : nullptr,
                        value ? static_cast<ssize_t>(value->size()) : 0);
  }
  return out;
}

void set_bytes(rd_kafka_vu_t &to, rd_kafka_vtype_t type, const std::optional<std::string> &bytes) {
  to.vtype = type;
  to.u.mem.ptr = bytes ? const_cast<char *>(bytes->data()) : nullptr;  // it is copied
  to.u.mem.size = bytes ? bytes->size() : 0;
}

}  // namespace

Producer::Producer(io::Loop &loop, io::Log &log, std::string name, Settings settings)
    : loop_(loop),
      log_(log),
      name_(std::move(name)),
      settings_(std::move(settings)),
      timer_(loop.timer([this] { finish(); }, io::Loop::Quit::may)),
      make_timer_(loop.timer([this] { make_some(); }, io::Loop::Quit::may)) {}

Producer::~Producer() = default;

Result<Done> Producer::open() {
  Properties fixed = kFixed;
  Settings settings = settings_;
  single_ = separate_;
  if (single_)
    settings.properties.emplace_back("batch.num.messages", "1");
  auto handle = Handle::open(loop_, Kind::producer, settings, fixed, *this);
  if (!handle)
    return handle.error();
  handle_ = std::move(*handle);
  topics_.clear();
  return Done{};
}

Result<Done> Producer::try_settings() {
  auto opened = open();
  handle_.reset();
  return opened;
}

void Producer::send(std::vector<Message> messages, core::Reply<Sent> &reply) {
  std::size_t count = messages.size();
  send(
      count, [all = std::move(messages)](std::size_t index) { return all[index]; }, reply);
}

void Producer::send(std::size_t count, Make make, core::Reply<Sent> &reply) {
  if (left_ > 0 || making())
    abandon();  // whoever waited for them has gone
  waiting_.push_back(reply);
  sent_ = {std::vector<Fate>(count, Fate::unknown), ""};
  if (topics_.size() > kTopics)
    handle_.reset();
  if (!handle_) {
    if (auto opened = open(); !opened) {
      failure_ = std::make_unique<Error>(opened.error());
      finish_soon();
      return;
    }
  }
  make_ = std::move(make);
  made_ = 0;
  make_some();
}

void Producer::make_some() {
  std::size_t count = sent_.fates.size();
  for (std::size_t upto = std::min(made_ + kSlice, count); made_ < upto; ++made_) {
    Message message = make_(made_);
    int error = enqueue(message, made_);
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {  // larger than message.max.bytes of the settings
      sent_.fates[made_] = Fate::refused;
      sent_.error = "a message is larger than message.max.bytes";
    } else if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      fail_message(made_, error, message.topic);
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      made_ = count;  // so that those behind it do not overtake it
      break;
    }
    ++left_;
  }
  if (made_ < count) {
    make_timer_->set(0);
    return;
  }
  make_no_more();
  if (left_ == 0)
    finish_soon();
  else if (broken_)
    timer_->set(kFatalMs);
}

void Producer::make_no_more() {
  make_timer_->clear();
  make_ = nullptr;
}

int Producer::enqueue(const Message &message, std::size_t index) {
  rd_kafka_headers_t *headers = make_headers(message.headers);
  std::array<rd_kafka_vu_t, 6> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = message.topic.c_str();
  set_bytes(parts[1], RD_KAFKA_VTYPE_KEY, message.key);
  set_bytes(parts[2], RD_KAFKA_VTYPE_VALUE, message.value);
  parts[3].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[3].u.headers = headers;
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = reinterpret_cast<void *>(index + 1);  // NOLINT(performance-no-int-to-ptr): a number
  rd_kafka_error_t *failed = rd_kafka_produceva(handle_->get(), parts.data(), parts.size());
  if (failed == nullptr) {
    std::size_t topic = std::hash<std::string>{}(message.topic);
    auto at = std::lower_bound(topics_.begin(), topics_.end(), topic);
    if (at == topics_.end() || *at != topic)
      topics_.insert(at, topic);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  int error = rd_kafka_error_code(failed);
  rd_kafka_error_destroy(failed);
  rd_kafka_headers_destroy(headers);
  return error;
}

void Producer::abandon() {
  while (waiting_.pop_front() != nullptr) {
  }
  if (left_ > 0)
    handle_.reset();
  left_ = 0;
  make_no_more();
  failure_.reset();
  finish_task_.unlink();
  timer_->clear();
}

void Producer::on_event(rd_kafka_op_s *event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
      on_reports(event);
      break;
    case RD_KAFKA_EVENT_ERROR:
      on_error(event);
      break;
    case RD_KAFKA_EVENT_LOG:
      log_event(log_, name_, event);
      break;
    default:
      break;
  }
}

void Producer::on_reports(rd_kafka_op_s *event) {
  while (const rd_kafka_message_t *message = rd_kafka_event_message_next(event)) {
    auto index = reinterpret_cast<std::size_t>(message->_private) - 1;
    if (index >= sent_.fates.size() || left_ == 0)
      continue;
    --left_;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      sent_.fates[index] = Fate::written;
      trouble_.clear();
      continue;
    }
    fail_message(index, message->err, rd_kafka_topic_name(message->rkt));
  }
  if (left_ == 0 && !making())
    finish_soon();
}

void Producer::fail_message(std::size_t index, int error, const std::string &topic) {
  broken_ = true;  // librdkafka asks only after minutes again whether a topic exists, for example
  if (is_consequence(error)) {
    if (sent_.error.empty())
      sent_.error = "messages before it were not written";
    return;
  }
  sent_.error =
      "topic " + topic + ": " + rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error)) + remedy_for(error);
  // the latter is that of a batch which is larger than a segment of the topic
  if (error != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && error != RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
    return;
  if (single_) {
    sent_.fates[index] = Fate::refused;
  } else if (!std::exchange(separate_, true)) {  // perhaps none of the messages of the batch is too large
    log_.error(name_ + ": topic " + topic +
               " refuses a batch of messages as too large: they are sent one by one from now on; raise its "
               "max.message.bytes or segment.bytes, or lower batch.size");
  }
}

void Producer::on_error(rd_kafka_op_s *event) {
  int error = rd_kafka_event_error(event);
  if (error == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event) != 0) {
    char why[512] = "";
    int cause = rd_kafka_fatal_error(handle_->get(), why, sizeof why);
    broken_ = true;
    if (left_ > 0 && sent_.error.empty())
      sent_.error = why + remedy_for(cause);
    timer_->set(left_ > 0 ? kFatalMs : 0);  // the reports of the others follow
    return;
  }
  std::string why =
      reason_of(rd_kafka_event_error_string(event)) + remedy_for(error, rd_kafka_event_error_string(event));
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !same_but_for_the_broker(why, trouble_))
    trouble_ = std::move(why);
}

void Producer::finish_soon() {
  if (!finish_task_.linked())
    loop_.post(finish_task_);
}

void Producer::finish() {
  finish_task_.unlink();
  timer_->clear();
  if (std::exchange(broken_, false))
    handle_.reset();
  left_ = 0;
  make_no_more();
  Sent sent = std::exchange(sent_, {});
  std::unique_ptr<Error> failure = std::move(failure_);
  core::Reply<Sent> *reply = waiting_.pop_front();
  if (reply == nullptr)
    return;
  if (failure)
    reply->deliver(*failure);
  else
    reply->deliver(std::move(sent));  // may destroy this
}

}  // namespace await::kafka
