#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::pg {

/// A result in binary format, accessed by row and column. A column of another type, or a null value for a
/// getter that cannot return null, is read as zero or empty.
class Rows {
 public:
  explicit Rows(PGresult *result) : result_(result) {}

  int count() const { return PQntuples(result_.get()); }
  int columns() const { return PQnfields(result_.get()); }
  bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string_view bytes(int row, int column) const;
  std::string text(int row, int column) const { return std::string(bytes(row, column)); }
  std::optional<std::string> maybe_text(int row, int column) const;
  /// int2, int4, int8
  std::int64_t number(int row, int column) const;
  bool boolean(int row, int column) const { return number(row, column) != 0; }
  Uuid uuid(int row, int column) const;
  /// timestamptz as Unix milliseconds
  std::int64_t time_ms(int row, int column) const;

 private:
  struct Clear {
    void operator()(PGresult *result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

/// Reads the elements of a one-dimensional array in binary format, one after the other.
class ArrayReader {
 public:
  explicit ArrayReader(std::string_view binary);
  /// Gets the next element. Returns false at the end. A null element is read as empty.
  bool next(std::string_view &element);

 private:
  std::string_view rest_;
  int left_ = 0;
};

/// A big-endian integer of 1, 2, 4 or 8 bytes; anything else is 0.
std::int64_t big_endian(std::string_view bytes);

}  // namespace await::pg
