#include "http/form.h"

#include <algorithm>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::http {

void FormFields::open(const std::string &name) {
  auto at =
      std::find_if(fields_.begin(), fields_.end(), [&](const auto &field) { return field.first == name; });
  if (at == fields_.end())
    at = fields_.insert(fields_.end(), {name, {}});
  open_ = &at->second.emplace_back();
  size_ += name.size() + 16;
}

bool FormFields::append(std::string_view bytes) {
  size_ += bytes.size();
  if (size_ > kMax)
    return false;
  *open_ += bytes;
  return true;
}

const char *FormFields::close() { return is_text(*open_) ? nullptr : "is not UTF-8, or holds a NUL"; }

std::string FormFields::json() const {
  std::string out = "{";
  for (const auto &[name, values] : fields_) {
    out += (out.size() > 1 ? "," : "") + wire::json_string(name) + ":";
    std::string list;
    for (const std::string &value : values)
      list += (list.empty() ? "" : ",") + wire::json_string(value);
    out += values.size() == 1 ? list : "[" + list + "]";
  }
  return out + "}";
}

}  // namespace await::http
