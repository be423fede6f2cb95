#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace await::pg {

/// OIDs of the parameter types that are sent (pg_type.dat).
enum Type : Oid {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kJsonb = 3802,
  kUuid = 2950,
  kInterval = 1186,
  kTextArray = 1009,
  kByteaArray = 1001,
  kInt2Array = 1005,
  kInt4Array = 1007,
  kInt8Array = 1016,
  kUuidArray = 2951
};

/// A one-dimensional array in binary format, built element by element.
class ArrayWriter {
 public:
  explicit ArrayWriter(Type element);
  void null();
  void bytes(std::string_view value);
  void maybe(const std::optional<std::string> &value) { value ? bytes(*value) : null(); }
  void int2(std::int64_t value) { integer(value, 2); }
  void int4(std::int64_t value) { integer(value, 4); }
  void int8(std::int64_t value) { integer(value, 8); }
  void maybe_int4(const std::optional<int> &value) { value ? int4(*value) : null(); }
  void maybe_int8(const std::optional<std::int64_t> &value) { value ? int8(*value) : null(); }
  void uuid(const Uuid &id);
  std::string take();

 private:
  void integer(std::int64_t value, int size);
  std::string out_;
  std::uint32_t count_ = 0;
  bool nulls_ = false;
};

/// The parameters of one statement, in binary format.
class Params {
 public:
  Params &text(std::string_view value) { return add(kText, std::string(value)); }
  Params &maybe_text(const std::optional<std::string> &value) { return value ? text(*value) : null(kText); }
  Params &bytea(std::string_view value) { return add(kBytea, std::string(value)); }
  Params &boolean(bool value) { return add(kBool, std::string(1, value ? '\1' : '\0')); }
  Params &int2(std::int64_t value);
  Params &int4(std::int64_t value);
  Params &int8(std::int64_t value);
  Params &maybe_int4(const std::optional<int> &value) { return value ? int4(*value) : null(kInt4); }
  Params &maybe_int8(const std::optional<std::int64_t> &value) { return value ? int8(*value) : null(kInt8); }
  Params &uuid(const Uuid &id);
  Params &array(Type type, ArrayWriter writer) { return add(type, writer.take()); }
  Params &null(Type type);

  int count() const { return static_cast<int>(values_.size()); }
  const Oid *types() const { return types_.data(); }
  std::vector<const char *> pointers() const;
  std::vector<int> lengths() const;

 private:
  Params &add(Type type, std::string value);
  std::vector<Oid> types_;
  std::vector<std::optional<std::string>> values_;
};

}  // namespace await::pg
