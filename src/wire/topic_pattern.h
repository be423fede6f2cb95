#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace await::wire {

/// The name of a Kafka topic for each event, such as `judge.{type}`. `{type}` is the type of the event,
/// `{queue}` the queue of the job, which is "batch" for a batch and "topic" for a topic of ours.
class TopicPattern {
 public:
  /// Errors: invalid, if it could lead to a name that Kafka does not accept: 1 to 249 of a-z A-Z 0-9 . _ -
  static Result<TopicPattern> parse(std::string_view text);
  std::string name(std::string_view type, std::string_view queue) const;
  /// Whether all events have the same.
  bool is_fixed() const;

 private:
  enum class Part : unsigned char { literal, type, queue };
  std::vector<std::pair<Part, std::string>> parts_;
};

}  // namespace await::wire
