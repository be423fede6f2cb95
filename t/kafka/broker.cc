// A cluster of brokers for tests: that of librdkafka's mock (rdkafka_mock.h), with faults on demand.
// usage: kafka-broker [BROKERS]
// Prints the addresses of the brokers, then a line for each command that it reads from standard input, and
// ends with standard input. Commands:
//   topic NAME PARTITIONS       creates a topic; others are created when they are used, with 4 partitions
//   topic-error NAME CODE       each request for the topic fails; 0 ends that
//   errors APIKEY CODE [CODE…]  the next requests of this kind fail, one after the other; 0 is success
//   fail APIKEY CODE            all requests of this kind fail; 0 ends that
//   leader TOPIC PARTITION ID   moves a partition to another broker; -1: it has no leader
//   down ID | up ID             a broker, from 1 on
//   rtt ID MS                   how long a broker takes for an answer
//   put TOPIC MS VALUE          writes a message to partition 0, with this time; the value "-" stands for
//   none

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

int put(rd_kafka_t *kafka, const std::string &topic, std::int64_t at_ms, const std::string &value) {
  bool none = value == "-";
  auto error = rd_kafka_producev(
      kafka, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_TIMESTAMP(at_ms),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_VALUE(none ? nullptr : const_cast<char *>(value.data()), none ? 0 : value.size()),
      RD_KAFKA_V_END);
  return error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : rd_kafka_flush(kafka, 10'000);
}

int run(rd_kafka_t *kafka, rd_kafka_mock_cluster_t *cluster, const std::string &line) {
  std::istringstream in(line);
  std::string command, name, value;
  std::int64_t at = 0;
  int a = 0, b = 0;
  in >> command;
  if (command == "topic" && in >> name >> a)
    return rd_kafka_mock_topic_create(cluster, name.c_str(), a, 1);
  if (command == "topic-error" && in >> name >> a) {
    rd_kafka_mock_topic_set_error(cluster, name.c_str(), static_cast<rd_kafka_resp_err_t>(a));
    return 0;
  }
  if (command == "errors" && in >> a) {
    std::vector<rd_kafka_resp_err_t> errors;
    while (in >> b)
      errors.push_back(static_cast<rd_kafka_resp_err_t>(b));
    rd_kafka_mock_push_request_errors_array(cluster, static_cast<int16_t>(a), errors.size(), errors.data());
    return 0;
  }
  if (command == "fail" && in >> a >> b) {
    constexpr std::size_t kMany = 100'000;  // until 0 is told
    rd_kafka_mock_clear_request_errors(cluster, static_cast<int16_t>(a));
    std::vector<rd_kafka_resp_err_t> errors(b == 0 ? 0 : kMany, static_cast<rd_kafka_resp_err_t>(b));
    if (b != 0)
      rd_kafka_mock_push_request_errors_array(cluster, static_cast<int16_t>(a), errors.size(), errors.data());
    return 0;
  }
  if (command == "leader" && in >> name >> a >> b)
    return rd_kafka_mock_partition_set_leader(cluster, name.c_str(), a, b);
  if (command == "down" && in >> a)
    return rd_kafka_mock_broker_set_down(cluster, a);
  if (command == "up" && in >> a)
    return rd_kafka_mock_broker_set_up(cluster, a);
  if (command == "rtt" && in >> a >> b)
    return rd_kafka_mock_broker_set_rtt(cluster, a, b);
  if (command == "put" && in >> name >> at >> value)
    return put(kafka, name, at, value);
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

}  // namespace

int main(int argc, char **argv) {
  char why[512] = "";
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);
  rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (kafka == nullptr) {
    std::cerr << why << "\n";
    return 1;
  }
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(kafka, argc > 1 ? std::atoi(argv[1]) : 1);
  rd_kafka_brokers_add(kafka, rd_kafka_mock_cluster_bootstraps(cluster));
  std::cout << rd_kafka_mock_cluster_bootstraps(cluster) << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    int error = run(kafka, cluster, line);
    std::cout << (error == 0 ? "ok" : rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(error)))
              << std::endl;
  }
  std::cout.flush();
  std::_Exit(0);  // nothing has to be kept
}
