#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "wire/format.h"

namespace await::wire {

/// Names of event types as set by await_event_types. An empty name hides the type.
using EventTypes = std::map<std::string, std::string, std::less<>>;

/// How the events of a location are written. Two are equal if they have the same values, with formats and
/// types compared by address; those must live as long as any page that was encoded with them.
struct EventEncoding {
  std::int64_t value_max = 16384;     ///< maximum size in bytes of a JSON result that is included in an event
  bool thin = false;                  ///< ids, numbers and types, no data
  const Format *event = nullptr;      ///< null: as docs/http.md has it
  const EventTypes *types = nullptr;  ///< null: unchanged

  /// The name of an event type for clients. Empty if the type is hidden.
  std::string_view name_of(std::string_view type) const {
    if (types == nullptr)
      return type;
    auto at = types->find(type);
    return at == types->end() ? type : std::string_view(at->second);
  }
  bool operator==(const EventEncoding &) const = default;
};

}  // namespace await::wire
