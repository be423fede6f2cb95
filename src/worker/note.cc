#include "worker/note.h"

#include <jansson.h>

#include <memory>

#include "wire/json_check.h"
#include "wire/json_repair.h"
#include "wire/raw_json.h"

namespace await::worker {
namespace {

/// The text of a JSON string.
std::optional<std::string> string_of(std::string_view json) {
  if (!json.starts_with('"'))
    return std::nullopt;
  std::unique_ptr<json_t, void (*)(json_t *)> value(
      json_loadb(json.data(), json.size(), JSON_DECODE_ANY, nullptr), [](json_t *j) { json_decref(j); });
  return value ? std::optional<std::string>(json_string_value(value.get())) : std::nullopt;
}

}  // namespace

std::optional<Note> parse_note(std::string_view line) {
  std::string json = wire::repair_json(line);
  std::size_t first = json.find_first_not_of(" \t\r");
  if (first == std::string::npos || json[first] != '{' || !wire::is_json(json))
    return std::nullopt;
  Note note;
  wire::RawMembers members(json);
  while (auto member = members.next()) {  // of two members with a name the last one counts, as for jsonb
    std::string key = string_of('"' + std::string(member->key) + '"').value_or("");
    if (key == "type")
      note.type = string_of(member->value);
    else if (key == "data")
      note.data = member->value;
    else if (key == "id")
      note.id = member->value.starts_with('"') ? string_of(member->value)
                : std::string_view("-0123456789").find(member->value[0]) != std::string_view::npos
                    ? std::optional<std::string>(member->value)
                    : std::nullopt;
  }
  if (!note.type)
    return Note{{}, std::move(json), {}};
  return note;
}

}  // namespace await::worker
