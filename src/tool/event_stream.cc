#include "tool/event_stream.h"

#include <utility>

#include "base/text.h"

namespace await::tool {

bool EventStream::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    auto end = bytes.find_first_of("\r\n");
    rest_ += bytes.substr(0, end);
    if (rest_.size() > kMost) {
      failed_ = true;
      return false;
    }
    if (end == bytes.npos)
      return true;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (!line(std::exchange(rest_, {})))
      return false;
  }
  return true;
}

bool EventStream::line(std::string_view text) {
  if (text.empty()) {
    bool goes_on = !std::exchange(has_data_, false) || take_(event_);
    event_.type.clear();
    event_.data.clear();
    return goes_on;
  }
  std::string_view value = text;
  std::string_view name = cut(value, ':');
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (name == "data") {
    if (has_data_)
      event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  } else if (name == "event") {
    event_.type = value;
  } else if (name == "id" && value.find('\0') == value.npos) {
    event_.id = value;
  }
  failed_ = event_.data.size() > kMost;
  return !failed_;
}

}  // namespace await::tool
