#include "wire/format.h"

#include <jansson.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "wire/raw_json.h"

namespace await::wire {
namespace {

constexpr std::string_view kSpread = "...";

enum class Filter { none, upper, unix_s, unix_ms };

/// A path, and the filter for its value.
struct Term {
  std::string path;
  Filter filter = Filter::none;
};

std::string refilter(std::string_view raw, Filter filter) {
  if (filter == Filter::none)
    return std::string(raw);
  if (filter == Filter::upper) {
    std::string out(raw);
    bool escaped = false;
    for (char &c : out) {  // an escape keeps its letter
      if (!escaped && c >= 'a' && c <= 'z')
        c = static_cast<char>(c - 'a' + 'A');
      escaped = !escaped && c == '\\';
    }
    return raw.starts_with('"') ? out : std::string(raw);
  }
  auto ms =
      raw.size() > 2 && raw.front() == '"' ? parse_timestamp(raw.substr(1, raw.size() - 2)) : std::nullopt;
  if (!ms)
    return "null";
  return std::to_string(filter == Filter::unix_s ? *ms / 1000 : *ms);
}

std::string dump(const json_t *json) {
  std::unique_ptr<char, void (*)(void *)> text(json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY), std::free);
  return text ? text.get() : "null";
}

}  // namespace

struct Format::Node {
  enum Kind { literal, terms, object, array } kind = literal;
  std::string text;  ///< of a literal: JSON
  std::vector<Term> alternatives;
  std::vector<std::string> keys;  ///< of an object, as JSON writes them, without quotes; "...": a spread
  std::vector<Node> values;       ///< of an object or an array

  std::string compile(const json_t *from);
  std::string compile_terms(std::string_view text);
  void write(std::string &out, std::string_view document) const;
  std::string evaluate(std::string_view document) const;
  void write_object(std::string &out, std::string_view document) const;
};

std::string Format::Node::compile_terms(std::string_view whole) {
  kind = terms;
  for (bool more = true; more;) {
    auto end = whole.find("??");
    more = end != whole.npos;
    std::string_view word = trim(whole.substr(0, end));
    if (more)
      whole.remove_prefix(end + 2);
    std::string_view path = cut(word, '|');
    std::string_view filter = trim(word);
    path = trim(path);
    bool good = path.size() > 1 && path[0] == '@' && path.back() != '.' && path[1] != '.' &&
                std::all_of(path.begin() + 1, path.end(), [](char c) {
                  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                         std::string_view("_.-").find(c) != std::string_view::npos;
                });
    if (!good)
      return "invalid path \"" + std::string(path) + "\", it must be in the form \"@data.name\"";
    Term term{std::string(path.substr(1)), Filter::none};
    if (filter == "upper")
      term.filter = Filter::upper;
    else if (filter == "unix")
      term.filter = Filter::unix_s;
    else if (filter == "ms")
      term.filter = Filter::unix_ms;
    else if (!filter.empty())
      return "invalid filter \"" + std::string(filter) + "\", it must be \"upper\", \"unix\" or \"ms\"";
    alternatives.push_back(std::move(term));
  }
  return {};
}

std::string Format::Node::compile(const json_t *from) {
  if (json_is_string(from)) {
    std::string_view value(json_string_value(from), json_string_length(from));
    if (value.starts_with("@@")) {
      std::unique_ptr<json_t, void (*)(json_t *)> plain(json_stringn(value.data() + 1, value.size() - 1),
                                                        json_decref);
      text = dump(plain.get());
      return {};
    }
    if (value.starts_with('@'))
      return compile_terms(value);
  }
  if (json_is_array(from)) {
    kind = array;
    for (std::size_t i = 0; i < json_array_size(from); ++i) {
      if (auto why = values.emplace_back().compile(json_array_get(from, i)); !why.empty())
        return why;
    }
    return {};
  }
  if (!json_is_object(from)) {
    text = dump(from);
    return {};
  }
  kind = object;
  const char *key = nullptr;
  json_t *value = nullptr;
  json_object_foreach(const_cast<json_t *>(from), key, value) {
    std::unique_ptr<json_t, void (*)(json_t *)> name(json_string(key), json_decref);
    std::string quoted = dump(name.get());
    keys.push_back(quoted.substr(1, quoted.size() - 2));
    if (auto why = values.emplace_back().compile(value); !why.empty())
      return why;
    if (keys.back() == kSpread && values.back().kind != terms)
      return "the value of \"...\" must be a path such as \"@data\"";
  }
  return {};
}

/// The first of the alternatives that exists and is not null.
std::string Format::Node::evaluate(std::string_view document) const {
  for (const Term &term : alternatives) {
    auto found = raw_find(document, term.path);
    if (found && *found != "null")
      return refilter(*found, term.filter);
  }
  return "null";
}

void Format::Node::write_object(std::string &out, std::string_view document) const {
  out += '{';
  auto add = [&out](std::string_view key) {
    out.append(out.back() == '{' ? "\"" : ",\"").append(key).append("\":");
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] != kSpread) {
      add(keys[i]);
      values[i].write(out, document);
      continue;
    }
    std::string object = values[i].evaluate(document);
    RawMembers spread(object);
    while (auto one = spread.next()) {
      if (std::find(keys.begin(), keys.end(), one->key) != keys.end())
        continue;
      add(one->key);
      out += one->value;
    }
  }
  out += '}';
}

void Format::Node::write(std::string &out, std::string_view document) const {
  switch (kind) {
    case literal:
      out += text;
      return;
    case terms:
      out += evaluate(document);
      return;
    case object:
      write_object(out, document);
      return;
    case array:
      break;
  }
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0)
      out += ',';
    values[i].write(out, document);
  }
  out += ']';
}

Format::Format() = default;
Format::Format(Format &&) noexcept = default;
Format::~Format() = default;

std::string Format::compile(std::string_view json) {
  json_error_t error;
  std::unique_ptr<json_t, void (*)(json_t *)> from(
      json_loadb(json.data(), json.size(), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error), json_decref);
  if (!from)
    return std::string("invalid JSON: ") + error.text;
  root_ = std::make_unique<Node>();
  return root_->compile(from.get());
}

std::string Format::apply(std::string_view document) const {
  std::string out;
  root_->write(out, document);
  return out;
}

}  // namespace await::wire
