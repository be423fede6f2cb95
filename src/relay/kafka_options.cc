#include "relay/kafka_options.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "cli/secrets.h"

namespace await::relay {
namespace {

// the promises of the relay depend on them
constexpr std::array<std::string_view, 20> kReserved = {"bootstrap.servers",
                                                        "metadata.broker.list",
                                                        "enable.idempotence",
                                                        "enable.gapless.guarantee",
                                                        "message.timeout.ms",
                                                        "delivery.timeout.ms",
                                                        "acks",
                                                        "request.required.acks",
                                                        "retries",
                                                        "message.send.max.retries",
                                                        "transactional.id",
                                                        "delivery.report.only.error",
                                                        "enable.auto.commit",
                                                        "auto.commit.interval.ms",
                                                        "enable.auto.offset.store",
                                                        "group.id",
                                                        "partition.assignment.strategy",
                                                        "enable.partition.eof",
                                                        "log.queue",
                                                        "test.mock.num.brokers"};

Error invalid(std::string why) { return {Code::invalid, std::move(why)}; }

Result<Done> check_brokers(std::string_view brokers) {
  if (brokers.empty())
    return invalid("the brokers are missing: kafka=HOST:9092,HOST:9092,topic=…");
  for (std::string_view rest = brokers; !rest.empty();) {
    std::string_view one = cut(rest, ',');
    std::string_view port = one.substr(std::min(one.rfind(':'), one.size() - (one.empty() ? 0 : 1)) + 1);
    bool has_port = one.rfind(':') != std::string_view::npos && !one.ends_with(']');
    if (one.empty() || one.find_first_of(" \t/@") != std::string_view::npos || one.starts_with(':') ||
        (has_port && parse_number(port, 65535).value_or(0) == 0))
      return invalid("\"" + std::string(one) + "\" is not a broker such as kafka.example.com:9092");
  }
  return Done{};
}

Result<Done> add_property(const std::string &name, const std::string &given, KafkaOptions &to) {
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end())
    return invalid("the property " + name + " is set by the relay");
  auto value = cli::read_address(given);
  if (!value)
    return invalid(name + ": " + value.error().detail);
  if (name == "partitioner" && *value == "random")
    return invalid("partitioner=random would take the events of a job out of their order");
  to.settings.properties.emplace_back(name, *value);
  kafka::Settings one{to.settings.brokers, {to.settings.properties.back()}};
  auto good = kafka::check(one);
  if (!good && good.error().code == Code::not_found)
    return invalid(name + " is not an option, and not a property of librdkafka: " + good.error().detail);
  if (!good)
    return invalid(name + ": " + good.error().detail);
  return Done{};
}

/// Properties as in the files of other clients: name=value, # begins a comment.
Result<Done> read_file(const std::string &path, KafkaOptions &to) {
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file)
    return invalid("config: cannot read " + path + ": " + std::strerror(errno));
  char line[8192];
  for (int number = 1; std::fgets(line, sizeof line, file.get()) != nullptr; ++number) {
    std::string_view text(line);
    text = trim(text.substr(0, text.find_first_of("\r\n")));
    if (text.empty() || text.starts_with('#'))
      continue;
    std::size_t equals = text.find('=');
    if (equals == std::string_view::npos)
      return invalid("config: line " + std::to_string(number) + " of " + path + " is not name=value");
    std::string name(trim(text.substr(0, equals)));
    if (auto added = add_property(name, std::string(trim(text.substr(equals + 1))), to); !added)
      return invalid("config: line " + std::to_string(number) + " of " + path + ": " + added.error().detail);
  }
  return Done{};
}

}  // namespace

std::string KafkaOptions::get(const std::string &name, std::string_view other) const {
  auto at = own.find(name);
  return at == own.end() ? std::string(other) : at->second;
}

Result<KafkaOptions> read_kafka_options(const std::string &brokers,
                                        const std::map<std::string, std::string> &options,
                                        std::initializer_list<std::string_view> own) {
  if (auto good = check_brokers(brokers); !good)
    return good.error();
  KafkaOptions out;
  out.settings.brokers = brokers;
  if (auto file = options.find("config"); file != options.end()) {
    if (auto read = read_file(file->second, out); !read)
      return read.error();
  }
  for (const auto &[name, value] : options) {
    if (name == "config")
      continue;
    if (std::find(own.begin(), own.end(), name) != own.end()) {
      out.own.emplace(name, value);
    } else if (auto added = add_property(name, value, out); !added) {
      return added.error();
    }
  }
  return out;
}

}  // namespace await::relay
