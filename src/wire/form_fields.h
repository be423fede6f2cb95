#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "wire/multipart.h"

namespace await::wire {

/// The fields of a form that become the params of a job: a JSON object of strings. A repeated field is an
/// array.
class FormFields {
 public:
  static constexpr std::size_t kMax = 64 * 1024;   ///< names and values together
  static constexpr std::size_t kMaxFields = 1000;  ///< a repeated field counts each time

  /// open() and append() return false if the fields are too large or too many; then neither may be called
  /// again.
  bool open(const std::string &name);
  bool append(std::string_view bytes);
  /// Ends a field. Returns null, or the reason if the field is not valid.
  const char *close();
  bool empty() const { return fields_.empty(); }
  /// The size of names and values in bytes.
  std::size_t size() const { return size_; }
  std::string json() const;

 private:
  static constexpr std::size_t kOverhead = 16;  // added for each field, so that empty ones count
  struct Field {
    const std::string *name;
    std::vector<std::string> values;
  };
  std::map<std::string, std::size_t> places_;  // index of each name; a tree, because clients choose the names
  std::vector<Field> fields_;                  // in the order of the form
  std::string *open_ = nullptr;
  std::size_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace await::wire
