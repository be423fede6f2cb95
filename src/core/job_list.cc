#include "core/job_list.h"

namespace await::core {

std::string list_key(const ListQuery &query) {
  std::string out = query.of_batches ? "batches " : "jobs ";
  auto add = [&](const std::optional<std::string> &part) {
    out += part ? std::to_string(part->size()) + ":" + *part : "-";
  };
  auto number = [](const std::optional<std::int64_t> &value) {
    return value ? std::optional(std::to_string(*value)) : std::nullopt;
  };
  add(query.owner);
  add(query.queue);
  add(query.states);
  add(query.batch ? std::optional(query.batch->text()) : std::nullopt);
  add(number(query.since_us));
  add(number(query.until_us));
  return out;
}

}  // namespace await::core
