#include "relay/kafka_source.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "pg/call.h"
#include "pg/statements.h"
#include "relay/kafka_options.h"
#include "wire/headers.h"
#include "wire/topic_pattern.h"

namespace await::relay {
namespace {

constexpr std::size_t kMostSize = 64 << 20;

Error invalid(std::string why) { return {Code::invalid, std::move(why)}; }

/// "512k" or "1m" in bytes; empty if it is not a size.
std::optional<std::size_t> parse_size(std::string_view text) {
  int shift = text.ends_with('k') ? 10 : text.ends_with('m') ? 20 : 0;
  if (shift > 0)
    text.remove_suffix(1);
  auto number = parse_number(text, kMostSize);
  if (!number || *number == 0 || (static_cast<std::size_t>(*number) << shift) > kMostSize)
    return std::nullopt;
  return static_cast<std::size_t>(*number) << shift;
}

/// A name that must be given.
Result<std::string> required(const KafkaOptions &options, const char *name) {
  std::string value = options.get(name);
  if (value.empty())
    return invalid(std::string("the option ") + name +
                   " is missing: kafka=HOST:9092,topic=orders,queue=work,group=await");
  return value;
}

bool is_topic(const std::string &name) {
  auto pattern = wire::TopicPattern::parse(name);
  return pattern && pattern->is_fixed();
}

/// A statement that returns one number.
Result<Done> decode(const pg::Rows &rows, std::size_t asked) {
  if (rows.count() != 1 || rows.number(0, 0) != static_cast<std::int64_t>(asked))
    return Error{Code::internal, "await.submit returned no id"};
  return Done{};
}

kafka::Settings with(kafka::Settings settings, const char *name, const char *value) {
  settings.properties.emplace(settings.properties.begin(), name, value);
  return settings;
}

std::size_t size_of(const kafka::Received &message, const wire::JobMessage &job) {
  std::size_t size = message.key.value_or("").size() + message.value.value_or("").size() +
                     job.payload.size() + job.options.size();
  for (const auto &[name, value] : message.headers)
    size += name.size() + value.value_or("").size();
  return size;
}

std::string place_of(const kafka::Received &message) {
  return message.topic + "[" + std::to_string(message.partition) + "]@" + std::to_string(message.offset);
}

}  // namespace

Result<KafkaSource::Settings> KafkaSource::parse(const std::string &value,
                                                 const std::map<std::string, std::string> &options) {
  auto read = read_kafka_options(value, options,
                                 {"topic", "queue", "group", "dead_letter", "type", "max_size", "name"});
  if (!read)
    return read.error();
  Settings out;
  out.kafka = read->settings;
  for (auto [name, to] : {std::pair("topic", &out.topic), {"queue", &out.queue}, {"group", &out.group}}) {
    auto given = required(*read, name);
    if (!given)
      return given.error();
    *to = *given;
  }
  out.name = read->get("name", out.topic.substr(0, 100));
  out.dead_letter = read->get("dead_letter");
  if (!is_topic(out.topic) || (!out.dead_letter.empty() && !is_topic(out.dead_letter)))
    return invalid("a topic has 1 to 249 of a-z A-Z 0-9 . _ -");
  if (out.dead_letter == out.topic)
    return invalid("the dead letters would come back: dead_letter is another topic");
  // the rule of await.queue_id()
  if (out.queue.size() > 64 || !is_topic(out.queue))
    return invalid("the name of a queue has 1 to 64 of A-Z a-z 0-9 _ . -");
  if (read->own.contains("type") && !wire::is_media_type(read->get("type")))
    return invalid("the option type is a content type such as application/json");
  out.rules.content_type = read->get("type", out.rules.content_type);
  if (read->own.contains("max_size")) {
    auto size = parse_size(read->get("max_size"));
    if (!size)
      return invalid("the option max_size is a size such as 512k, 64m at most");
    out.rules.max_size = *size;
  }
  return out;
}

KafkaSource::KafkaSource(io::Loop &loop, io::Log &log, io::Random &random, pg::Connection &connection,
                         Cursors &cursors, redis::Bus *bus, Settings settings)
    : loop_(loop),
      log_(log),
      random_(random),
      connection_(connection),
      bus_(bus),
      settings_(std::move(settings)),
      name_("Kafka source " + settings_.topic),
      consumer_(loop, log, name_, settings_.kafka, settings_.topic, settings_.group, *this),
      // whatever its topic accepts
      producer_(loop, log, name_, with(settings_.kafka, "message.max.bytes", "200000000")),
      lookup_(loop),
      submit_outage_(loop, log),
      letter_outage_(loop, log),
      progress_(loop, cursors, settings_.name, *this),
      bad_messages_(loop, log, name_),
      submit_timer_(loop.timer([this] { submit(); }, io::Loop::Quit::may)),
      letter_timer_(loop.timer([this] { send_letters(); }, io::Loop::Quit::may)),
      start_timer_(loop.timer([this] { start(); }, io::Loop::Quit::may)) {}

KafkaSource::~KafkaSource() = default;

void KafkaSource::lead(bool leads) {
  if (std::exchange(leads_, leads) == leads)
    return;
  progress_.lead(leads);
  if (leads) {
    start();
    if (!std::exchange(has_names_, true))
      lookup_.find_names(settings_.kafka, names_reply_);
    return;
  }
  consumer_.stop();
  producer_.abandon();
  // what is not committed is received again by whoever leads, and is the same job then
  waiting_.clear();
  letters_.clear();
  in_flight_ = 0;
  bytes_ = 0;
  submit_timer_->clear();
  letter_timer_->clear();
  start_timer_->clear();
  bad_messages_.end_minute();
}

void KafkaSource::start() {
  constexpr std::int64_t kAgainMs = 100;
  if (!consumer_.stopped() || reply_.waiting()) {  // it is still leaving
    start_timer_->set(kAgainMs);
    return;
  }
  consumer_.resume();
  if (auto started = consumer_.start(); !started) {
    submit_trouble_.fail(name_ + ": " + started.error().detail);
    start_timer_->set(kAgainMs * 50);
  }
}

void KafkaSource::on_message(kafka::Received message) {
  if (!leads_)
    return;
  auto job = wire::parse_job_message(message.key, message.value, message.headers, settings_.rules);
  Item item{std::move(message), {}, {}};
  if (job) {
    item.job = std::move(*job);
    if (item.message.value == item.job.payload)
      item.message.value.reset();
  } else {
    item.reason = job.error().detail;
  }
  item.size = size_of(item.message, item.job);
  bytes_ += item.size;
  waiting_.push_back(std::move(item));
  if (in_flight_ == 0 && !submit_timer_->pending())
    submit_timer_->set(0);  // with those that come in the same iteration
  regulate();
}

/// Does not fetch more than can be stored.
void KafkaSource::regulate() {
  std::size_t count = waiting_.size() + letters_.size();
  if (count >= kMost || bytes_ >= kMostBytes || consumer_.open() >= kMostOpen)
    consumer_.pause();
  else if (count < kMost / 2 && bytes_ < kMostBytes / 2 && consumer_.open() < kMostOpen / 2)
    consumer_.resume();
}

void KafkaSource::submit() {
  if (in_flight_ > 0 || reply_.waiting())
    return;
  while (!waiting_.empty() && !waiting_.front().reason.empty())
    pass(1, "");
  regulate();
  if (waiting_.empty())
    return;
  pg::ArrayWriter payloads(pg::kBytea), types(pg::kText), options(pg::kText), keys(pg::kText);
  std::size_t bytes = 0;
  jobs_ = 0;
  for (const Item &item : waiting_) {
    bool is_job = item.reason.empty();
    if (is_job && (jobs_ == limit_ || (jobs_ > 0 && bytes + item.job.payload.size() > kBatchBytes)))
      break;
    ++in_flight_;
    if (!is_job)
      continue;
    ++jobs_;
    bytes += item.job.payload.size();
    payloads.bytes(item.job.payload);
    types.bytes(item.job.content_type);
    options.bytes(item.job.options);
    keys.bytes(wire::message_key(item.message.topic, item.message.partition, item.message.offset,
                                 item.message.at_ms));
  }
  pg::Params params;
  params.text(settings_.queue).array(pg::kByteaArray, std::move(payloads));
  params.array(pg::kTextArray, std::move(types)).array(pg::kTextArray, std::move(options));
  params.array(pg::kTextArray, std::move(keys));
  connection_.send(std::make_unique<pg::Call<Done>>(pg::statements::kSubmitMessages, std::move(params),
                                                    reply_, decode, jobs_));
}

void KafkaSource::on_submitted(const Result<Done> &outcome) {
  std::size_t count = std::exchange(in_flight_, 0);
  if (!leads_)
    return;
  if (outcome) {
    submit_trouble_.recover(name_ + ": messages become jobs again");
    backoff_.reset();
    limit_ = std::min(kBatch, limit_ * 2);
    progress_.on_jobs(jobs_, count > 0 ? waiting_[count - 1].message.at_ms : -1);
    pass(count, "");
    if (bus_ != nullptr)
      bus_->announce(settings_.queue);
  } else if (outcome.error().code == Code::invalid && jobs_ == 1) {
    pass(count, outcome.error().detail);
  } else if (outcome.error().code == Code::invalid) {
    limit_ = std::max<std::size_t>(1, jobs_ / 2);  // one of them is bad
  } else {
    submit_trouble_.fail(name_ + ": cannot submit jobs: " + outcome.error().detail);
    submit_timer_->set(backoff_.next(random_.unit()));
    return;
  }
  regulate();
  submit();
}

/// The first messages are done with, those that are no valid jobs as dead letters.
/// @param reason  why the job among them is none; empty: it is one
void KafkaSource::pass(std::size_t count, const std::string &reason) {
  for (; count > 0; --count) {
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    if (item.reason.empty())
      item.reason = reason;
    if (item.reason.empty())
      done(item);
    else
      refuse(std::move(item));
  }
}

/// The message is done when its dead letter is written.
void KafkaSource::refuse(Item item) {
  item.reason = printable(item.reason);
  if (!item.message.value && !item.job.content_type.empty())  // it was moved there
    item.message.value = std::exchange(item.job, {}).payload;
  bad_messages_.add("message " + place_of(item.message) + " is no valid job: " + item.reason +
                    (settings_.dead_letter.empty() ? "; it is skipped, because there is no dead_letter"
                                                   : "; it goes to " + settings_.dead_letter));
  progress_.on_dead_letter();
  if (settings_.dead_letter.empty()) {
    done(item);
    return;
  }
  letters_.push_back(std::move(item));
  if (!letters_reply_.waiting() && !letter_timer_->pending())
    letter_timer_->set(0);
}

kafka::Message KafkaSource::letter_of(const Item &item) const {
  const kafka::Received &message = item.message;
  kafka::Message out{settings_.dead_letter, message.key, message.value, message.headers};
  out.headers.emplace_back("dead-letter-reason", item.reason);
  out.headers.emplace_back("dead-letter-topic", message.topic);
  out.headers.emplace_back("dead-letter-partition", std::to_string(message.partition));
  out.headers.emplace_back("dead-letter-offset", std::to_string(message.offset));
  if (item.cut > 0) {
    out.headers.emplace_back("dead-letter-size", std::to_string(message.value.value_or("").size()));
    out.value.reset();
  }
  if (item.cut > 1) {  // then it is the key or the headers that are too large
    out.key.reset();
    out.headers.erase(out.headers.begin(), out.headers.begin() + static_cast<int>(message.headers.size()));
  }
  return out;
}

void KafkaSource::send_letters() {
  if (letters_.empty() || letters_reply_.waiting())
    return;
  std::vector<kafka::Message> messages;
  std::size_t bytes = 0;
  for (const Item &item : letters_) {
    if (messages.size() == kLetters || (!messages.empty() && bytes + item.size > kBatchBytes))
      break;
    bytes += item.size;
    messages.push_back(letter_of(item));
  }
  producer_.send(std::move(messages), letters_reply_);
}

void KafkaSource::on_letters(Result<kafka::Sent> outcome) {
  if (!leads_)
    return;
  kafka::Sent sent = outcome ? std::move(*outcome) : kafka::Sent{{}, outcome.error().detail};
  std::deque<Item> left;
  bool cut = false;
  for (std::size_t i = 0; i < sent.fates.size(); ++i) {
    Item item = std::move(letters_.front());
    letters_.pop_front();
    if (sent.fates[i] == kafka::Fate::written) {
      done(item);
      continue;
    }
    if (sent.fates[i] == kafka::Fate::refused) {
      cut = true;
      if (++item.cut > kMostCuts) {
        log_.error(name_ + ": the dead letter of message " + place_of(item.message) +
                   " is refused, and lost");
        done(item);
        continue;
      }
    }
    left.push_back(std::move(item));
  }
  letters_.insert(letters_.begin(), std::make_move_iterator(left.begin()),
                  std::make_move_iterator(left.end()));
  if (sent.error.empty() || cut) {
    letter_trouble_.recover(name_ + ": dead letters are written again");
    letter_backoff_.reset();
    letter_timer_->set(0);
  } else {
    letter_trouble_.fail(name_ + ": cannot write dead letters: " + sent.error);
    letter_timer_->set(letter_backoff_.next(random_.unit()));
  }
  regulate();
}

void KafkaSource::done(const Item &item) {
  bytes_ -= item.size;
  consumer_.done({item.message.topic, item.message.partition}, item.message.offset);
}

void KafkaSource::check(core::Reply<Done> &reply) {
  std::vector<std::string> topics = {settings_.topic};
  if (!settings_.dead_letter.empty()) {
    topics.push_back(settings_.dead_letter);
    if (auto good = producer_.try_settings(); !good) {
      reply.deliver(good.error());
      return;
    }
  }
  lookup_.ask(settings_.kafka, topics, reply);
}

void KafkaSource::on_names(const Result<Done> &outcome) {
  if (!outcome)
    log_.error(name_ + ": " + outcome.error().detail);
}

}  // namespace await::relay
