#include "pg/params.h"

namespace await::pg {
namespace {

void put(std::string &out, std::uint64_t value, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
}

std::string_view raw(const Uuid &id) {
  return {reinterpret_cast<const char *>(id.raw().data()), id.raw().size()};
}

std::string integer_text(std::int64_t value, int size) {
  std::string out;
  put(out, static_cast<std::uint64_t>(value), size);
  return out;
}

}  // namespace

ArrayWriter::ArrayWriter(Type element) {
  put(out_, 1, 4);
  put(out_, 0, 4);  // the null flag, filled in at the end
  put(out_, element, 4);
  put(out_, 0, 4);  // the length, likewise
  put(out_, 1, 4);
}

void ArrayWriter::null() {
  put(out_, 0xffffffff, 4);
  ++count_;
  nulls_ = true;
}

void ArrayWriter::bytes(std::string_view value) {
  put(out_, value.size(), 4);
  out_ += value;
  ++count_;
}

void ArrayWriter::integer(std::int64_t value, int size) {
  put(out_, static_cast<std::uint64_t>(size), 4);
  put(out_, static_cast<std::uint64_t>(value), size);
  ++count_;
}

void ArrayWriter::uuid(const Uuid &id) { bytes(raw(id)); }

std::string ArrayWriter::take() {
  std::string head;
  put(head, 1, 4);
  put(head, nulls_ ? 1 : 0, 4);
  out_.replace(0, 8, head);
  head.clear();
  put(head, count_, 4);
  out_.replace(12, 4, head);
  return std::move(out_);
}

Params &Params::add(Type type, std::string value) {
  types_.push_back(type);
  values_.emplace_back(std::move(value));
  return *this;
}

Params &Params::null(Type type) {
  types_.push_back(type);
  values_.emplace_back(std::nullopt);
  return *this;
}

Params &Params::int2(std::int64_t value) { return add(kInt2, integer_text(value, 2)); }
Params &Params::int4(std::int64_t value) { return add(kInt4, integer_text(value, 4)); }
Params &Params::int8(std::int64_t value) { return add(kInt8, integer_text(value, 8)); }
Params &Params::uuid(const Uuid &id) { return add(kUuid, std::string(raw(id))); }

std::vector<const char *> Params::pointers() const {
  std::vector<const char *> out;
  for (const auto &value : values_)
    out.push_back(value ? value->data() : nullptr);
  return out;
}

std::vector<int> Params::lengths() const {
  std::vector<int> out;
  for (const auto &value : values_)
    out.push_back(value ? static_cast<int>(value->size()) : 0);
  return out;
}

}  // namespace await::pg
