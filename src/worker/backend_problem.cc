#include "worker/backend_problem.h"

#include <vector>

#include "base/text.h"
#include "wire/document.h"
#include "wire/headers.h"
#include "wire/json_check.h"
#include "wire/json_repair.h"
#include "wire/json_writer.h"
#include "wire/raw_json.h"

namespace await::worker {
namespace {

constexpr std::size_t kMaxDetail = 2000;
constexpr std::size_t kMaxNames = 10;      // of members that are left out
constexpr std::size_t kMaxNameSize = 100;  // of one of them

using wire::JsonCheck;

/// JSON, whatever its depth and its numbers.
bool is_object(std::string_view text) {
  JsonCheck check(JsonCheck::Numbers::any, BackendAnswer::kMaxBody);
  return text.starts_with('{') && check.feed(text) && check.finish();
}

/// Whether PostgreSQL takes it as a member of an object.
bool is_storable(std::string_view value) {
  JsonCheck check(JsonCheck::Numbers::bounded, JsonCheck::kMaxDepth - 1);
  return check.feed(value) && check.finish();
}

std::string_view without_space(std::string_view text) {
  constexpr char kSpace[] = " \t\r\n";
  auto first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

/// Which members are missing, as the inside of a JSON string.
std::string say_left_out(const std::vector<std::string_view> &keys) {
  std::string out = "Left out, as nested too deeply or with too long a number: ";
  for (std::size_t i = 0; i < keys.size() && i < kMaxNames; ++i) {
    bool is_short = keys[i].size() <= kMaxNameSize;
    out.append(i > 0 ? ", " : "").append(is_short ? keys[i] : "a member with a long name");
  }
  if (keys.size() > kMaxNames)
    out += " and " + std::to_string(keys.size() - kMaxNames) + " more";
  return out + ".";
}

std::string members_of(std::string_view object, const BackendAnswer &answer) {
  std::vector<std::string_view> left_out;
  std::string_view detail;  // a string with its quotes
  wire::RawMembers members(object);
  std::string kept;
  while (auto member = members.next()) {
    if (!is_storable(member->value)) {
      left_out.push_back(member->key);
      continue;
    }
    if (member->key == "detail")  // of two members with a name, the last one counts
      detail = member->value.starts_with('"') ? member->value : "";
    kept.append(kept.empty() ? "" : ",")
        .append(1, '"')
        .append(member->key)
        .append("\":")
        .append(member->value);
  }
  auto add = [&](const std::string &member) { kept.append(kept.empty() ? "" : ",").append(member); };
  if (!left_out.empty()) {
    std::string before(detail.empty() ? "" : detail.substr(1, detail.size() - 2));
    add("\"detail\":\"" + before + (before.empty() ? "" : " ") + say_left_out(left_out) + "\"");
  }
  if (answer.status != 0)
    add("\"backend_status\":" + std::to_string(answer.status));
  return "{" + kept + "}";
}

}  // namespace

std::string backend_problem(const BackendAnswer &answer, std::string_view title, std::string_view detail) {
  bool is_whole = answer.body.size() <= BackendAnswer::kMaxBody;
  std::string type = wire::essence(answer.content_type);
  bool is_text = type == "text/plain" || wire::is_json_type(type);
  std::string repaired = wire::repair_json(answer.body);
  std::string_view body = without_space(repaired);
  if (is_whole && is_object(body))
    return members_of(body, answer);
  wire::JsonWriter error;
  error.text("title", title);
  std::string_view said = without_space(answer.body);
  if (is_text && !said.empty())
    error.text("detail", repair_text(said.substr(0, kMaxDetail)));
  else
    error.text("detail", detail);
  if (answer.status != 0)
    error.number("backend_status", answer.status);
  return error.take();
}

}  // namespace await::worker
