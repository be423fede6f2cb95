#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "wire/format.h"

namespace await::wire {

/// await_event_types: other names for types of events; an empty one hides them.
using EventTypes = std::map<std::string, std::string, std::less<>>;

/// How events are written where a location says so. Lives as long as the configuration, for encodings are
/// kept by its address.
struct Shape {
  std::int64_t value_max = 16384;     ///< the largest JSON result that stands in an event, bytes
  bool thin = false;                  ///< ids, numbers and types, no data
  const Format *event = nullptr;      ///< null: as docs/http.md has it
  const EventTypes *types = nullptr;  ///< null: as they are

  /// What an event of this type is called; empty: it is not shown.
  std::string_view name_of(std::string_view type) const {
    if (types == nullptr)
      return type;
    auto at = types->find(type);
    return at == types->end() ? type : std::string_view(at->second);
  }
};

}  // namespace await::wire
