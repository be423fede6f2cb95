#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace await::core {

/// A page of the list of deliveries of webhooks, newest first. What is empty does not matter.
struct DeliveryQuery {
  std::optional<std::string> state;  ///< waiting, retrying, delivered or dead
  std::optional<int> webhook;        ///< the number of an endpoint; 0: jobs' own URLs
  std::optional<Uuid> job;
  std::optional<std::string> owner;      ///< only the own URLs of the jobs of this owner
  std::optional<std::int64_t> since_us;  ///< stored at this Unix time in microseconds, or later
  std::optional<std::int64_t> after;     ///< the number of the delivery that it follows
  int limit = 50;
};

/// It may have fewer documents than the limit, or none, and be followed by another one.
struct DeliveryPage {
  std::vector<std::string> documents;  ///< JSON texts
  std::optional<std::int64_t> next;    ///< for `after` of the next page
};

/// What became of the wish to send a delivery once more.
enum class Resent : std::uint8_t {
  retried,
  waiting,   ///< it has not ended
  disabled,  ///< its endpoint is, or was removed
  unknown,
};

}  // namespace await::core
