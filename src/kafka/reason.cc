#include "kafka/reason.h"

#include <librdkafka/rdkafka.h>

#include "base/text.h"

namespace await::kafka {
namespace {

/// A name of a broker has its port: "host:9092/1:", "ipv4#127.0.0.1:9092".
bool has_port(std::string_view word) {
  for (std::size_t i = 1; i < word.size(); ++i) {
    if (word[i - 1] == ':' && word[i] >= '0' && word[i] <= '9')
      return true;
  }
  return false;
}

std::string without_brokers(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view word = cut(text, ' ');
    if (!has_port(word))
      out.append(word).append(" ");
  }
  return out;
}

}  // namespace

bool same_but_for_the_broker(std::string_view one, std::string_view other) {
  return without_brokers(one) == without_brokers(other);
}

std::string reason_of(std::string_view text) {
  for (std::string_view tail :
       {" (after ", " (_", ", 1 identical error(s) suppressed", "identical error(s)"}) {
    if (auto at = text.find(tail); at != std::string_view::npos)
      text = text.substr(0, at);
  }
  return printable(text);
}

std::string remedy_for(int error, std::string_view text) {
  if (text.find(":SSL routines:") != std::string_view::npos)
    error = RD_KAFKA_RESP_ERR__SSL;  // a handshake that fails at once counts as a failure of the connection
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      return ": create it";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return ": the ACL of the topic must allow it to this user";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return ": the ACL of the group must allow it to this user";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return ": the ACL of the cluster must allow IdempotentWrite to this user";
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return ": correct sasl.mechanism, sasl.username and sasl.password";
    case RD_KAFKA_RESP_ERR__SSL:
      return ": the port must speak TLS, and its certificate be of this name and of an authority in "
             "ssl.ca.location";
    default:
      return "";
  }
}

std::string reset_of(rd_kafka_op_s *event) {
  constexpr int kWarning = 4;
  const char *facility = "";
  const char *text = "";
  int level = 0;
  bool is_reset = rd_kafka_event_log(event, &facility, &text, &level) == 0 && level == kWarning &&
                  std::string_view(facility) == "OFFSET";
  if (!is_reset)
    return "";
  std::string_view line = text;
  if (std::size_t thread = line.find("]: "); line.starts_with("[thrd:") && thread != std::string_view::npos)
    line.remove_prefix(thread + 3);
  return printable(line);
}

void log_event(io::Log &log, const std::string &name, rd_kafka_op_s *event) {
  constexpr int kError = 3;  // of syslog
  constexpr int kDebug = 7;
  const char *facility = "";
  const char *text = "";
  int level = 0;
  if (rd_kafka_event_log(event, &facility, &text, &level) != 0)
    return;
  std::string_view about = facility;
  if (about == "FAIL" || about == "ERROR" || about == "FATAL")
    return;
  if (level <= kError)
    log.error(name + ": librdkafka: " + printable(text));
  else if (level == kDebug)  // the property debug was given
    log.info(name + ": " + std::string(about) + ": " + printable(text));
}

}  // namespace await::kafka
