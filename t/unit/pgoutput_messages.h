#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Messages as the output plugin pgoutput writes them, for tests.
namespace await::core::pgoutput {

inline std::string number(std::uint64_t value, int size) {
  std::string out;
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
  return out;
}

inline std::string begin(std::uint32_t xid) { return "B" + number(7, 8) + number(8, 8) + number(xid, 4); }

inline std::string commit(std::uint64_t end) {
  return "C" + number(0, 1) + number(end - 8, 8) + number(end, 8) + number(9, 8);
}

inline std::string relation(std::uint32_t id, std::string_view schema, std::string_view name,
                            const std::vector<std::string> &columns) {
  std::string out = "R" + number(id, 4);
  out.append(schema).append(1, '\0').append(name).append(1, '\0');
  out += "d" + number(columns.size(), 2);
  for (const std::string &column : columns)
    out += number(1, 1) + column + '\0' + number(23, 4) + number(0xffffffff, 4);
  return out;
}

inline std::string insert(std::uint32_t id, const std::vector<std::string> &values) {
  std::string out = "I" + number(id, 4) + "N" + number(values.size(), 2);
  for (const std::string &value : values)
    out += "t" + number(value.size(), 4) + value;
  return out;
}

}  // namespace await::core::pgoutput
