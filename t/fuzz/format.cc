// Formats: a template is refused or makes JSON of every document; what it takes is what jansson finds there.

#include "wire/format.h"

#include <jansson.h>

#include <memory>

#include "fuzz/input.h"
#include "wire/json_check.h"
#include "wire/raw_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  std::string rest(in.rest());
  auto cut = rest.find('\0');
  std::string format = rest.substr(0, cut);
  std::string document = cut == rest.npos ? R"({"a":{"b":"x"},"c":[1]})" : rest.substr(cut + 1);
  if (!wire::is_json(document))
    return 0;
  wire::Format made;
  if (made.compile(format).empty())
    fuzz::must(wire::is_json(made.apply(document)), "what comes of it is no JSON");
  auto free_json = [](json_t *json) { json_decref(json); };
  std::unique_ptr<json_t, void (*)(json_t *)> whole(
      json_loadb(document.data(), document.size(), JSON_REJECT_DUPLICATES, nullptr), free_json);
  if (!json_is_object(whole.get()))
    return 0;
  const char *key = nullptr;
  json_t *value = nullptr;
  std::size_t members = 0;
  json_object_foreach(whole.get(), key, value) {
    ++members;
    std::string name(key);
    if (name.empty() || name.find_first_of(".\\\"") != name.npos || document.find('\\') != document.npos)
      continue;  // paths and escapes
    auto raw = wire::raw_find(document, name);
    fuzz::must(raw.has_value(), "a member is not found");
    std::unique_ptr<json_t, void (*)(json_t *)> again(
        json_loadb(raw->data(), raw->size(), JSON_DECODE_ANY, nullptr), free_json);
    fuzz::must(json_equal(again.get(), value) == 1, "a member is another");
  }
  wire::RawMembers all(document);
  std::size_t n = 0;
  while (all.next())
    ++n;
  fuzz::must(n == members, "members are missing");
  return 0;
}
