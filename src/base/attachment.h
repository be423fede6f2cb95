#pragma once

#include <memory>
#include <utility>

namespace await {

/// A slot for something that others derive from an object and keep with it, such as its encodings. Owned by
/// the object and destroyed with it. It is not part of the value: a copy of the object starts without it.
class Attachment {
 public:
  class Content {
   public:
    virtual ~Content() = default;
  };
  Attachment() = default;
  Attachment(const Attachment &) noexcept {}
  Attachment(Attachment &&) noexcept = default;
  Attachment &operator=(Attachment other) noexcept {
    content_ = std::move(other.content_);
    return *this;
  }
  ~Attachment() = default;

  /// Null if there is none.
  Content *get() const { return content_.get(); }
  void set(std::unique_ptr<Content> content) { content_ = std::move(content); }

 private:
  std::unique_ptr<Content> content_;
};

}  // namespace await
