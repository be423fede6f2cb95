// kafka::Producer and kafka::Consumer on the brokers of librdkafka's mock cluster, with faults.

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <map>

#include "io/poll_loop.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"

namespace await::kafka {
namespace {

constexpr int kProduce = 0;  // keys of the protocol
constexpr int kCommit = 8;

struct Lines : io::Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { all.emplace_back(line); }
  int count(std::string_view part) const {
    return static_cast<int>(std::count_if(all.begin(), all.end(),
                                          [&](auto &line) { return line.find(part) != std::string::npos; }));
  }
  std::vector<std::string> all;
};

class Brokers {
 public:
  explicit Brokers(int count) {
    char why[512] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);  // it misses the address of a cluster
    kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cluster_ = rd_kafka_mock_cluster_new(kafka_, count);
  }
  ~Brokers() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(kafka_);
  }
  Settings settings(Properties properties = {}) const {
    return {rd_kafka_mock_cluster_bootstraps(cluster_), std::move(properties)};
  }
  rd_kafka_mock_cluster_t *get() const { return cluster_; }
  void topic(const char *name, int partitions) { rd_kafka_mock_topic_create(cluster_, name, partitions, 1); }

 private:
  rd_kafka_t *kafka_;
  rd_kafka_mock_cluster_t *cluster_;
};

struct Ear : Consumer::Listener {
  void on_message(Received message) override { all.push_back(std::move(message)); }
  std::vector<Received> all;
  std::vector<std::string> values(std::string_view key) const {
    std::vector<std::string> out;
    for (const Received &one : all) {
      if (one.key == key)
        out.push_back(one.value.value_or("null"));
    }
    return out;
  }
};

class KafkaTest : public testing::Test {
 protected:
  KafkaTest() : producer(std::make_unique<Producer>(loop, log, "Kafka", brokers.settings())) {}
  ~KafkaTest() override {
    producer.reset();
    consumer.reset();
    EXPECT_TRUE(wait_closed(10'000));
  }

  void on_sent(Result<Sent> outcome) {
    ++answers;
    sent = outcome ? *outcome : Sent{{}, outcome.error().detail};
  }
  void begin(const std::vector<Message> &messages) { producer->send(messages, reply); }
  bool answered(std::int64_t ms = 20'000) {
    int before = answers;
    return loop.run_until([&] { return answers > before; }, ms);
  }
  void write(const std::vector<Message> &messages) {
    begin(messages);
    ASSERT_TRUE(answered()) << "a group is answered";
  }
  /// `count` messages for each of four keys, in turns.
  static std::vector<Message> series(int first, int count) {
    std::vector<Message> out;
    for (int n = first; n < first + count; ++n) {
      for (const char *key : {"k0", "k1", "k2", "k3"})
        out.push_back({"t", key, std::to_string(n), {}});
    }
    return out;
  }
  static std::vector<std::string> numbers(int count) {
    std::vector<std::string> out;
    for (int n = 0; n < count; ++n)
      out.push_back(std::to_string(n));
    return out;
  }
  void consume(const std::string &topic = "t") {
    consumer = std::make_unique<Consumer>(
        loop, log, "Kafka",
        brokers.settings({{"session.timeout.ms", "4000"}, {"heartbeat.interval.ms", "300"}}), topic, "g",
        ear);
    ASSERT_TRUE(consumer->start());
  }
  bool heard(std::size_t count, std::int64_t ms = 20'000) {
    return loop.run_until([&] { return ear.all.size() >= count; }, ms);
  }
  void stop_consumer() {
    consumer->stop();
    ASSERT_TRUE(loop.run_until([&] { return consumer->stopped(); }, 10'000));
  }

  io::PollLoop loop;
  Lines log;
  Brokers brokers{3};
  std::unique_ptr<Producer> producer;
  Ear ear;
  std::unique_ptr<Consumer> consumer;
  core::Reply<Sent> reply = core::Reply<Sent>::to<&KafkaTest::on_sent>(this);
  Sent sent;
  int answers = 0;
};

TEST_F(KafkaTest, messages_arrive_with_key_headers_and_nulls_in_the_order_of_each_key) {
  std::vector<Message> all = series(0, 250);
  all[0].headers = {
      {"content-type", "text/plain"}, {"nothing", std::nullopt}, {"bytes", std::string("\0\xff", 2)}};
  all.push_back({"t", std::nullopt, std::nullopt, {}});
  write(all);
  EXPECT_EQ(sent.error, "");
  EXPECT_EQ(std::count(sent.fates.begin(), sent.fates.end(), Fate::written), 1001);
  consume();
  ASSERT_TRUE(heard(1001));
  for (const char *key : {"k0", "k1", "k2", "k3"})
    EXPECT_EQ(ear.values(key), numbers(250)) << key;
  for (const Received &one : ear.all) {
    EXPECT_GT(one.at_ms, 0);
    if (one.key == "k0" && one.value == "0") {
      EXPECT_EQ(one.headers, all[0].headers);
    }
    if (!one.key) {
      EXPECT_EQ(one.value, std::nullopt) << "a tombstone";
    }
  }
}

TEST_F(KafkaTest, a_group_waits_for_brokers_that_are_away) {
  write(series(0, 1));
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_down(brokers.get(), id);
  begin(series(1, 50));
  EXPECT_FALSE(answered(2'000)) << "no error while brokers are away";
  EXPECT_NE(producer->trouble(), "") << "but the reason is known";
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_up(brokers.get(), id);
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent.error, "");
  EXPECT_EQ(producer->trouble(), "");
  consume();
  ASSERT_TRUE(heard(204));
  EXPECT_EQ(ear.values("k2"), numbers(51));
}

TEST_F(KafkaTest, order_is_kept_when_brokers_fail_and_leaders_move) {
  brokers.topic("t", 2);
  std::size_t written = 0;
  for (int round = 0; round < 12; ++round) {
    int partition = round % 2;
    begin(series(round * 20, 20));
    rd_kafka_mock_partition_set_leader(brokers.get(), "t", partition, 1 + round % 3);
    rd_kafka_mock_push_request_errors(brokers.get(), kProduce, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    rd_kafka_mock_broker_set_down(brokers.get(), 1 + (round + 1) % 3);
    loop.run_until([] { return false; }, 20);
    rd_kafka_mock_broker_set_up(brokers.get(), 1 + (round + 1) % 3);
    if (loop.run_until([&] { return answers > round; }, 20'000) && sent.error.empty())
      ++written;
  }
  EXPECT_EQ(written, 12U) << sent.error;
  consume();
  ASSERT_TRUE(heard(960));
  for (const char *key : {"k0", "k1", "k2", "k3"}) {
    std::vector<std::string> seen;  // without what came twice
    for (const std::string &value : ear.values(key)) {
      if (std::find(seen.begin(), seen.end(), value) == seen.end())
        seen.push_back(value);
    }
    EXPECT_EQ(seen, numbers(240)) << key;
  }
}

TEST_F(KafkaTest, nothing_is_written_behind_a_message_that_its_topic_refuses) {
  brokers.topic("t", 1);
  rd_kafka_mock_push_request_errors(brokers.get(), kProduce, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  std::vector<Message> group = {{"t", "k", "0", {}}, {"t", "k", "1", {}}, {"t", "k", "2", {}}};
  write(group);
  EXPECT_EQ(sent.fates, std::vector<Fate>(3, Fate::unknown)) << "it may be the batch that was too large";
  EXPECT_EQ(log.count("one by one"), 1);
  // the third error is what a real broker says of a message behind one that it refuses
  rd_kafka_mock_push_request_errors(brokers.get(), kProduce, 3, RD_KAFKA_RESP_ERR_NO_ERROR,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
  write(group);
  EXPECT_EQ(sent.fates, (std::vector<Fate>{Fate::written, Fate::refused, Fate::unknown})) << sent.error;
  group.erase(group.begin());
  group[0].value = "small";
  write(group);
  EXPECT_EQ(sent.error, "") << "it goes on, by a new instance";
  consume();
  ASSERT_TRUE(heard(3));
  loop.run_until([] { return false; }, 300);
  EXPECT_EQ(ear.values("k"), (std::vector<std::string>{"0", "small", "2"}));
}

TEST_F(KafkaTest, a_message_above_message_max_bytes_is_refused_at_once) {
  producer =
      std::make_unique<Producer>(loop, log, "Kafka", brokers.settings({{"message.max.bytes", "2000"}}));
  write({{"t", "k", "a", {}}, {"t", "k", std::string(5000, 'x'), {}}, {"t", "k", "b", {}}});
  EXPECT_EQ(sent.fates, (std::vector<Fate>{Fate::written, Fate::refused, Fate::unknown}));
  write({{"t", "k", "b", {}}});
  EXPECT_EQ(sent.error, "");
}

TEST_F(KafkaTest, a_topic_that_is_missing_is_named_and_found_when_it_is_there) {
  rd_kafka_mock_topic_set_error(brokers.get(), "none", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  write({{"t", "k", "a", {}}, {"none", "k", "a", {}}});
  EXPECT_EQ(sent.fates, (std::vector<Fate>{Fate::written, Fate::unknown}));
  EXPECT_NE(sent.error.find("topic none: "), std::string::npos) << sent.error;
  rd_kafka_mock_topic_set_error(brokers.get(), "none", RD_KAFKA_RESP_ERR_NO_ERROR);
  write({{"none", "k", "a", {}}});
  EXPECT_EQ(sent.error, "");
}

TEST_F(KafkaTest, a_group_that_was_abandoned_is_not_answered_and_the_next_one_is) {
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_down(brokers.get(), id);
  begin(series(0, 5));
  EXPECT_FALSE(answered(200));
  producer->abandon();
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_up(brokers.get(), id);
  EXPECT_FALSE(answered(500));
  write(series(0, 1));
  EXPECT_EQ(sent.fates.size(), 4U);
  EXPECT_EQ(sent.error, "");
}

TEST_F(KafkaTest, settings_that_contradict_one_another_are_an_error_of_the_group) {
  producer = std::make_unique<Producer>(loop, log, "Kafka", brokers.settings({{"acks", "1"}}));
  write(series(0, 1));
  EXPECT_NE(sent.error.find("acks"), std::string::npos) << sent.error;
}

TEST_F(KafkaTest, a_message_that_is_not_done_is_received_again_with_all_behind_it) {
  brokers.topic("t", 1);
  write({{"t", "k", "0", {}}, {"t", "k", "1", {}}, {"t", "k", "2", {}}});
  consume();
  ASSERT_TRUE(heard(3));
  consumer->done({"t", 0}, 0);
  consumer->done({"t", 0}, 2);
  stop_consumer();
  ear.all.clear();
  consume();
  ASSERT_TRUE(heard(2));
  EXPECT_EQ(ear.values("k"), (std::vector<std::string>{"1", "2"}));
  for (int offset : {1, 2})
    consumer->done({"t", 0}, offset);
  EXPECT_EQ(consumer->open(), 0U);
  stop_consumer();
  write({{"t", "k", "3", {}}});
  ear.all.clear();
  consume();
  ASSERT_TRUE(heard(1));
  EXPECT_EQ(ear.values("k"), std::vector<std::string>{"3"});
}

TEST_F(KafkaTest, an_offset_whose_commit_failed_is_committed_later) {
  brokers.topic("t", 1);
  write({{"t", "k", "0", {}}});
  consume();
  ASSERT_TRUE(heard(1));
  rd_kafka_mock_push_request_errors(brokers.get(), kCommit, 1, RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE);
  consumer->done({"t", 0}, 0);
  ASSERT_TRUE(loop.run_until([&] { return log.count("offsets are committed again") == 1; }, 10'000));
  EXPECT_EQ(log.count("cannot commit offsets"), 1);
}

TEST_F(KafkaTest, nothing_is_lost_or_doubled_by_a_pause) {
  brokers.topic("t", 1);
  write(series(0, 50));
  consume();
  ASSERT_TRUE(heard(1));
  consumer->pause();
  loop.run_until([] { return false; }, 200);
  std::size_t before = ear.all.size();
  write(series(50, 50));
  loop.run_until([] { return false; }, 700);
  EXPECT_EQ(ear.all.size(), before) << "none during the pause";
  consumer->resume();
  ASSERT_TRUE(heard(400));
  loop.run_until([] { return false; }, 300);
  EXPECT_EQ(ear.values("k1"), numbers(100));
}

TEST_F(KafkaTest, a_message_of_10_mb_arrives) {
  Properties large = {{"message.max.bytes", "20000000"}};
  producer = std::make_unique<Producer>(loop, log, "Kafka", brokers.settings(large));
  write({{"t", "k", std::string(10'000'000, 'x'), {}}});
  EXPECT_EQ(sent.error, "");
  consume();
  ASSERT_TRUE(heard(1));
  EXPECT_EQ(ear.all[0].value->size(), 10'000'000U);
}

TEST_F(KafkaTest, a_consumer_goes_on_when_the_brokers_are_back) {
  brokers.topic("t", 1);
  write(series(0, 1));
  consume();
  ASSERT_TRUE(heard(4));
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_down(brokers.get(), id);
  EXPECT_TRUE(loop.run_until([&] { return log.count("no broker can be reached") > 0; }, 10'000));
  for (int id : {1, 2, 3})
    rd_kafka_mock_broker_set_up(brokers.get(), id);
  write(series(1, 1));
  ASSERT_TRUE(heard(8));
  EXPECT_EQ(ear.values("k3"), numbers(2));
}

}  // namespace
}  // namespace await::kafka
