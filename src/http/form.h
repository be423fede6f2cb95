#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/multipart.h"

namespace await::http {

/// The fields of a form that become a job's params: a JSON object of strings, a repeated field an array.
class FormFields {
 public:
  static constexpr std::size_t kMax = 64 * 1024;  ///< names and values together

  void open(const std::string &name);
  /// False: they are too large.
  bool append(std::string_view bytes);
  /// Null, or what is wrong with the field just read.
  const char *close();
  bool empty() const { return fields_.empty(); }
  std::string json() const;

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> fields_;
  std::string *open_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace await::http
