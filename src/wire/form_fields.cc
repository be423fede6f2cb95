#include "wire/form_fields.h"

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::wire {

bool FormFields::open(const std::string &name) {
  size_ += name.size() + kOverhead;
  if (size_ > kMax || ++count_ > kMaxFields)
    return false;
  auto [at, fresh] = places_.try_emplace(name, fields_.size());
  if (fresh)
    fields_.push_back({&at->first, {}});
  open_ = &fields_[at->second].values.emplace_back();
  return true;
}

bool FormFields::append(std::string_view bytes) {
  size_ += bytes.size();
  if (size_ > kMax)
    return false;
  *open_ += bytes;
  return true;
}

const char *FormFields::close() {
  return is_text(*open_) ? nullptr : "is not valid UTF-8, or contains a NUL character";
}

std::string FormFields::json() const {
  std::string out = "{";
  for (const auto &[name, values] : fields_) {
    if (out.size() > 1)
      out += ',';
    out += json_string(*name) + ":";
    if (values.size() == 1) {
      out += json_string(values[0]);
      continue;
    }
    char before = '[';
    for (const std::string &value : values) {
      out += std::exchange(before, ',');
      out += json_string(value);
    }
    out += ']';
  }
  return out + "}";
}

}  // namespace await::wire
