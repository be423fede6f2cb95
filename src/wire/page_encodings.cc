#include "wire/page_encodings.h"

#include <functional>
#include <memory>

namespace await::wire {

EncodedPage::Event &EncodedPage::of(const core::EventPage &page, const core::Event &event) {
  const core::Event *begin = page.events.data();
  bool inside = !std::less<>()(&event, begin) && std::less<>()(&event, begin + page.events.size());
  std::size_t index = inside ? static_cast<std::size_t>(&event - begin) + 1 : 0;
  if (events.size() != page.events.size() + 1)
    events.resize(page.events.size() + 1);
  return events[index];
}

EncodedPage &PageEncodings::of(const core::EventPage &page, const EventEncoding &encoding) {
  auto *all = static_cast<PageEncodings *>(page.encodings.get());
  if (all == nullptr) {
    std::unique_ptr<PageEncodings> made(new PageEncodings);
    all = made.get();
    page.encodings.set(std::move(made));
  }
  for (EncodedPage &one : all->pages_) {
    if (one.encoding == encoding)
      return one;
  }
  if (all->pages_.size() < kMost)
    return all->pages_.emplace_back(EncodedPage{encoding, {}, {}});
  EncodedPage &replaced = all->pages_[all->oldest_];
  all->oldest_ = (all->oldest_ + 1) % kMost;
  replaced = EncodedPage{encoding, {}, {}};
  return replaced;
}

}  // namespace await::wire
