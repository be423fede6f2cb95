#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kafka/handle.h"

namespace await::relay {

/// What --sink kafka=… and --from kafka=… have in common: "BROKERS,option=value,property=value,…".
struct KafkaOptions {
  kafka::Settings settings;
  std::map<std::string, std::string> own;  ///< the options of the sink or of the source

  /// The value of an option; `other` if it is not given.
  std::string get(const std::string &name, std::string_view other = "") const;
};

/// Tells options from properties of librdkafka. A property's value can be @FILE, and `config=FILE` names a
/// file of properties, a line each, for what nobody else should see. Errors: invalid: brokers that are none,
/// something that is neither an option nor a property, or a property that the relay sets itself.
/// @param own  names of options
Result<KafkaOptions> read_kafka_options(const std::string &brokers,
                                        const std::map<std::string, std::string> &options,
                                        std::initializer_list<std::string_view> own);

}  // namespace await::relay
