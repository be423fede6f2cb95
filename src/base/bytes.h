#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

namespace await {

/// An immutable run of bytes, shared by reference count: encoded once, written to many. Not for use
/// between threads.
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
