#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "wire/multipart.h"

namespace await::wire {

/// The fields of a form that become a job's params: a JSON object of strings, a repeated field an array.
class FormFields {
 public:
  static constexpr std::size_t kMax = 64 * 1024;   ///< names and values together
  static constexpr std::size_t kMaxFields = 1000;  ///< a repeated one counts each time

  /// False, here and below: they are too large or too many, and nothing more may be given.
  bool open(const std::string &name);
  bool append(std::string_view bytes);
  /// Null, or what is wrong with the field just read.
  const char *close();
  bool empty() const { return fields_.empty(); }
  /// Names and values, in bytes.
  std::size_t size() const { return size_; }
  std::string json() const;

 private:
  static constexpr std::size_t kOverhead = 16;  // of a field, so that empty ones count
  struct Field {
    const std::string *name;
    std::vector<std::string> values;
  };
  std::map<std::string, std::size_t> places_;  // of names among the fields; clients cannot make it slow
  std::vector<Field> fields_;                  // as they came
  std::string *open_ = nullptr;
  std::size_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace await::wire
