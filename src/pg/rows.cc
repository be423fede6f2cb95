#include "pg/rows.h"

namespace await::pg {
namespace {
constexpr std::int64_t kPostgresEpochMs = 946684800000;  // 2000-01-01
}

std::int64_t big_endian(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 8)
    return 0;
  auto value = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<signed char>(bytes[0])));
  for (unsigned char c : bytes.substr(1))
    value = value << 8 | c;
  return static_cast<std::int64_t>(value);
}

std::string_view Rows::bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::optional<std::string> Rows::maybe_text(int row, int column) const {
  if (null(row, column))
    return std::nullopt;
  return text(row, column);
}

std::int64_t Rows::number(int row, int column) const { return big_endian(bytes(row, column)); }

Uuid Rows::uuid(int row, int column) const {
  Uuid::Raw raw{};
  auto value = bytes(row, column);
  if (value.size() == raw.size())
    std::memcpy(raw.data(), value.data(), raw.size());
  return Uuid(raw);
}

std::int64_t Rows::time_ms(int row, int column) const {
  return number(row, column) / 1000 + kPostgresEpochMs;
}

ArrayReader::ArrayReader(std::string_view binary) {
  // ndim, has-null flag, element type, then length and lower bound of each dimension
  if (binary.size() < 20 || big_endian(binary.substr(0, 4)) != 1)
    return;
  left_ = static_cast<int>(big_endian(binary.substr(12, 4)));
  rest_ = binary.substr(20);
}

bool ArrayReader::next(std::string_view &element) {
  if (left_ == 0 || rest_.size() < 4)
    return false;
  --left_;
  std::int64_t length = big_endian(rest_.substr(0, 4));
  rest_.remove_prefix(4);
  element = length < 0 ? std::string_view() : rest_.substr(0, static_cast<std::size_t>(length));
  rest_.remove_prefix(element.size());
  return true;
}

}  // namespace await::pg
