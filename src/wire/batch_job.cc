#include "wire/batch_job.h"

#include <jansson.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <utility>

#include "base/text.h"
#include "wire/document.h"
#include "wire/headers.h"
#include "wire/json_check.h"
#include "wire/raw_json.h"

namespace await::wire {
namespace {

using Json = std::unique_ptr<json_t, void (*)(json_t *)>;
using Why = std::optional<std::string>;  // what is wrong with a value

constexpr std::size_t kMaxParams = 64 * 1024;  // as for the fields of a form
constexpr std::size_t kMaxText = 255;
constexpr std::size_t kMaxName = 64;
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = 24 * 3600 * kSecond;

/// The text of a JSON string; empty if `value` is something else.
std::optional<std::string> text_of(std::string_view value) {
  if (!value.starts_with('"'))
    return std::nullopt;
  Json json(json_loadb(value.data(), value.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr), json_decref);
  if (!json)
    return std::nullopt;
  return std::string(json_string_value(json.get()), json_string_length(json.get()));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' ||
           c == '-';
  });
}

bool is_file_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxText && is_text(text) &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Why read_name(std::string_view value, std::optional<std::string> &out) {
  out = text_of(value);
  if (out && is_name(*out))
    return std::nullopt;
  return "must be a string of 1 to 64 characters of A-Z a-z 0-9 _ . -";
}

/// A digit of base64, 0 to 63; a negative number if `c` is none.
int sextet(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/// base64 (RFC 4648 §4) with its padding, and without bits that stand for nothing.
std::optional<std::string> from_base64(std::string_view text) {
  std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.size() % 4 != 0)
    return std::nullopt;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (char c : text) {
    int digit = sextet(c);
    if (digit < 0)
      return std::nullopt;
    bits = bits << 6 | static_cast<unsigned>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held);
      bits &= (1U << held) - 1;
    }
  }
  if (bits != 0)
    return std::nullopt;
  return out;
}

/// Whether a string in `json` has the escape of a NUL, which a text of PostgreSQL cannot have.
bool has_escaped_nul(std::string_view json) {
  for (auto at = json.find('\\'); at != json.npos; at = json.find('\\', at + 2)) {
    if (json.substr(at + 1).starts_with("u0000"))
      return true;
  }
  return false;
}

Why read_params(std::string_view value, BatchJob &job) {
  if (!value.starts_with('{'))
    return "must be an object";
  JsonCheck check(JsonCheck::Numbers::bounded);
  if (!check.feed(value) || !check.finish())
    return std::string("has a ") + check.error();
  if (has_escaped_nul(value))
    return "contains a NUL character";
  if (check.written() > kMaxParams)
    return "exceeds 64 KB";
  job.params = value;
  return std::nullopt;
}

/// A whole number in decimal digits.
Why read_count(std::string_view value, int least, int most, std::optional<int> &out) {
  bool low = value.starts_with('-');
  auto number = parse_number(low ? value.substr(1) : value, 1'000'000);
  std::int64_t signed_number = number.value_or(0) * (low ? -1 : 1);
  if (!number || signed_number < least || signed_number > most)
    return "must be a whole number between " + std::to_string(least) + " and " + std::to_string(most);
  out = static_cast<int>(signed_number);
  return std::nullopt;
}

/// Seconds, with up to three decimals.
Why read_seconds(std::string_view value, std::int64_t least, std::int64_t most,
                 std::optional<std::int64_t> &out) {
  std::string_view rest = value;
  auto whole = parse_number(cut(rest, '.'), most / kSecond);
  std::string decimals(rest);
  bool fits = whole && decimals.size() <= 3;
  decimals.resize(3, '0');
  auto behind = parse_number(decimals, 999);
  std::int64_t ms = whole.value_or(0) * kSecond + behind.value_or(0);
  if (!fits || !behind || ms < least || ms > most)
    return "must be a number of seconds between " + std::string(least < kSecond ? "0.001" : "1") + " and " +
           std::to_string(most / kSecond) + ", with at most three decimals";
  out = ms;
  return std::nullopt;
}

/// A member of an element, and how its value is read. `option`: whether the operator has to allow it.
struct Member {
  std::string_view name;
  bool option;
  Why (*read)(std::string_view value, BatchJob &job);
};

constexpr Member kMembers[] = {
    {"queue", false, [](std::string_view value, BatchJob &job) { return read_name(value, job.queue); }},
    {"phase", false, [](std::string_view value, BatchJob &job) { return read_name(value, job.phase); }},
    {"payload", false,
     [](std::string_view value, BatchJob &job) -> Why {
       job.payload = value;
       return std::nullopt;
     }},
    {"payload_base64", false,
     [](std::string_view value, BatchJob &job) -> Why {
       auto text = text_of(value);
       auto bytes = text ? from_base64(*text) : std::nullopt;
       if (!bytes)
         return "must be a string in base64 (RFC 4648 section 4), with its padding";
       job.payload = std::move(*bytes);
       return std::nullopt;
     }},
    {"content_type", false,
     [](std::string_view value, BatchJob &job) -> Why {
       auto text = text_of(value);
       if (!text || text->size() > kMaxText || !is_media_type(*text))
         return "must be a string in the form type/subtype, of at most 255 bytes";
       job.content_type = std::move(*text);
       return std::nullopt;
     }},
    {"file_name", false,
     [](std::string_view value, BatchJob &job) -> Why {
       auto text = text_of(value);
       auto name = text ? std::string(base_name(*text)) : std::string();
       if (!is_file_name(name))
         return "must be a string of 1 to 255 bytes without control characters";
       job.file_name = std::move(name);
       return std::nullopt;
     }},
    {"params", false, read_params},
    {"priority", true,
     [](std::string_view value, BatchJob &job) { return read_count(value, -100, 100, job.priority); }},
    {"delay", true,
     [](std::string_view value, BatchJob &job) { return read_seconds(value, 1, 365 * kDay, job.delay_ms); }},
    {"deadline", true,
     [](std::string_view value, BatchJob &job) {
       return read_seconds(value, kSecond, 3650 * kDay, job.deadline_ms);
     }},
    {"lease", true,
     [](std::string_view value, BatchJob &job) { return read_seconds(value, kSecond, kDay, job.lease_ms); }},
    {"max_attempts", true,
     [](std::string_view value, BatchJob &job) { return read_count(value, 1, 1000, job.max_attempts); }},
};

constexpr std::string_view kPayload = "payload";
constexpr std::string_view kPayloadBase64 = "payload_base64";

std::size_t place_of(std::string_view name) {
  return static_cast<std::size_t>(std::find_if(std::begin(kMembers), std::end(kMembers),
                                               [&](const Member &m) { return m.name == name; }) -
                                  std::begin(kMembers));
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name.substr(0, kMaxName)) + (name.size() > kMaxName ? "…" : "") + "\"";
}

/// What is wrong with the element as a whole; fills in what it leaves out.
Why complete(bool as_json, bool as_bytes, BatchJob &job) {
  if (as_json == as_bytes)
    return as_json ? "\"payload\" and \"payload_base64\" exclude each other"
                   : "\"payload\" is missing; for bytes that are not JSON use \"payload_base64\"";
  if (job.content_type.empty())
    job.content_type = as_json ? "application/json" : "application/octet-stream";
  bool says_json = is_json_type(job.content_type);
  if (as_json && !says_json)
    return "\"payload\" is JSON, but the \"content_type\" is not; use \"payload_base64\"";
  if (as_bytes && says_json && !is_json(job.payload))
    return "\"payload_base64\" is not JSON, but the \"content_type\" is";
  if (job.deadline_ms && *job.deadline_ms <= job.delay_ms.value_or(0))
    return "\"deadline\" must be longer than \"delay\", the job would expire before it can be claimed";
  return std::nullopt;
}

}  // namespace

BatchOptions batch_option(std::string_view name) {
  std::size_t place = place_of(name);
  return place < std::size(kMembers) && kMembers[place].option ? 1U << place : 0;
}

std::optional<BatchJobFault> read_batch_job(std::string_view object, BatchOptions allowed, BatchJob &job) {
  auto offset = [&](std::string_view part) { return static_cast<std::size_t>(part.data() - object.data()); };
  std::array<bool, std::size(kMembers)> seen{};
  std::array<bool, std::size(kMembers)> given{};
  RawMembers members(object);
  while (auto member = members.next()) {
    std::size_t place = place_of(member->key);
    if (place == std::size(kMembers))
      return BatchJobFault{offset(member->key) - 1, "unknown member " + quoted(member->key)};
    const Member &known = kMembers[place];
    std::string name = quoted(known.name);
    if (std::exchange(seen[place], true))
      return BatchJobFault{offset(member->key) - 1, name + " is there twice"};
    if (known.option && (allowed & 1U << place) == 0)
      return BatchJobFault{offset(member->key) - 1, name + " is not for clients to choose here"};
    given[place] = member->value != "null" || known.name == kPayload;
    if (!given[place])
      continue;  // as if it were not there
    if (auto why = known.read(member->value, job))
      return BatchJobFault{offset(member->value), name + " " + *why};
  }
  if (auto why = complete(given[place_of(kPayload)], given[place_of(kPayloadBase64)], job))
    return BatchJobFault{0, *why};
  return std::nullopt;
}

}  // namespace await::wire
