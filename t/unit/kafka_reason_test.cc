#include "kafka/reason.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

namespace await::kafka {
namespace {

// was a bug: while all brokers were away, the log had a line for each of them again and again
TEST(KafkaReasonTest, a_reason_is_the_same_whichever_broker_it_is_about) {
  struct Case {
    const char *one;
    const char *other;
    bool same;
  };
  const Case cases[] = {
      {"127.0.0.1:46587/3: Connect to ipv4#127.0.0.1:46587 failed: Connection refused",
       "127.0.0.1:33585/1: Connect to ipv4#127.0.0.1:33585 failed: Connection refused", true},
      {"kafka-a:9092/bootstrap: Connect to ipv6#[fd00::1]:9092 failed: Connection refused",
       "kafka-b:9093/2: Connect to ipv4#10.0.0.1:9093 failed: Connection refused", true},
      {"kafka-a:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused",
       "kafka-a:9092/1: Connect to ipv4#10.0.0.1:9092 failed: No route to host", false},
      {"sasl_plaintext://kafka:9092/bootstrap: SASL PLAIN mechanism handshake failed",
       "sasl_plaintext://kafka:9092/bootstrap: SASL authentication failed", false},
      {"kafka:9092/1: Disconnected", "", false},
      {"", "", true},
  };
  for (const Case &c : cases)
    EXPECT_EQ(same_but_for_the_broker(c.one, c.other), c.same) << c.one << " | " << c.other;
}

TEST(KafkaReasonTest, an_error_that_an_operator_can_mend_says_what_to_mend) {
  EXPECT_EQ(remedy_for(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), ": create it");
  EXPECT_NE(remedy_for(RD_KAFKA_RESP_ERR__AUTHENTICATION).find("sasl.password"), std::string::npos);
  const char *handshake =
      "ssl://kafka:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed";
  EXPECT_EQ(remedy_for(RD_KAFKA_RESP_ERR__TRANSPORT, handshake), remedy_for(RD_KAFKA_RESP_ERR__SSL));
  EXPECT_EQ(remedy_for(RD_KAFKA_RESP_ERR__TRANSPORT, "kafka:9093/bootstrap: Disconnected"), "");
}

}  // namespace
}  // namespace await::kafka
