#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

namespace await {

/// An immutable byte string, shared by a reference count: it is encoded once and written to many clients. Not
/// thread-safe.
class Bytes {
 public:
  Bytes() = default;
  /// Copies `text`.
  explicit Bytes(std::string_view text);
  Bytes(const Bytes &other) noexcept;
  Bytes(Bytes &&other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Bytes &operator=(Bytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Bytes();

  const char *data() const;
  std::size_t size() const;
  bool empty() const { return size() == 0; }
  std::string_view view() const { return {data(), size()}; }

 private:
  struct Block;
  Block *block_ = nullptr;
};

}  // namespace await
