#include "base/bytes.h"

#include <cstring>
#include <new>

namespace await {

struct Bytes::Block {
  std::size_t references;
  std::size_t size;
  char *data() { return reinterpret_cast<char *>(this + 1); }
};

Bytes::Bytes(std::string_view text) {
  if (text.empty())
    return;
  block_ = new (::operator new(sizeof(Block) + text.size())) Block{1, text.size()};
  std::memcpy(block_->data(), text.data(), text.size());
}

Bytes::Bytes(const Bytes &other) noexcept : block_(other.block_) {
  if (block_ != nullptr)
    ++block_->references;
}

Bytes::~Bytes() {
  if (block_ != nullptr && --block_->references == 0)
    ::operator delete(block_);
}

const char *Bytes::data() const { return block_ != nullptr ? block_->data() : ""; }
std::size_t Bytes::size() const { return block_ != nullptr ? block_->size : 0; }

}  // namespace await
