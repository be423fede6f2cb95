#include "core/timelines.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace await::core {
namespace {

struct Parts {
  std::string_view system, number, database;
};

Parts parts_of(std::string_view name) {
  Parts out;
  out.system = cut(name, '.');
  out.number = cut(name, '.');
  out.database = cut(name, '.');
  return out;
}

}  // namespace

bool same_database(std::string_view one, std::string_view other) {
  Parts a = parts_of(one);
  Parts b = parts_of(other);
  return a.system == b.system && a.database == b.database;
}

bool is_older(std::string_view one, std::string_view other) {
  // the number has eight hexadecimal digits, so the strings have the order of the numbers
  return same_database(one, other) && parts_of(one).number < parts_of(other).number;
}

bool Timelines::accept(std::string_view added) {
  if (added.size() > kMostName)
    return true;
  bool known = false;
  std::string_view newest;
  for (std::size_t i = 0; i < count_; ++i) {
    if (same_database(name(i), added))
      newest = name(i);
    known = known || name(i) == added;
  }
  if (newest == added)
    return true;
  if (known || is_older(added, newest))
    return false;
  if (count_ == kMost) {
    std::memmove(names_[0], names_[1], sizeof names_ - sizeof names_[0]);
    std::memmove(sizes_, sizes_ + 1, sizeof sizes_ - 1);
    --count_;
  }
  std::copy(added.begin(), added.end(), names_[count_]);
  sizes_[count_++] = static_cast<std::uint8_t>(added.size());
  return true;
}

}  // namespace await::core
