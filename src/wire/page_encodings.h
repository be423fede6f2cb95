#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/attachment.h"
#include "base/bytes.h"
#include "core/job.h"
#include "wire/event_encoding.h"

namespace await::wire {

/// The ways in which a frame of events is written. The first four are wire/sse.h's.
enum class FrameKind { sse, sse_unnamed, sse_chunked, sse_unnamed_chunked, websocket };
inline constexpr std::size_t kFrameKinds = 5;

/// What a page looks like in one EventEncoding. Each member is empty until the first client needs it; then it
/// is shared by all clients.
struct EncodedPage {
  struct Event {
    Bytes json;
    Bytes json_with_channel;
    std::array<Bytes, kFrameKinds> frames;
    Bytes &frame(FrameKind kind) { return frames[static_cast<std::size_t>(kind)]; }
  };
  EventEncoding encoding;
  std::array<Bytes, kFrameKinds> frames;  ///< of all events of the page
  std::vector<Event> events;              ///< as in the page, but the first is core::first_event()

  Bytes &frame(FrameKind kind) { return frames[static_cast<std::size_t>(kind)]; }
  /// @param event  one of the page, or core::first_event(page)
  Event &of(const core::EventPage &page, const core::Event &event);
};

/// The encodings of a page, kept with it (core::EventPage::encodings): one for each EventEncoding in which
/// clients get it, but at most kMost. One more replaces the oldest, which costs time when it is needed again.
class PageEncodings : public Attachment::Content {
 public:
  static constexpr std::size_t kMost = 4;

  /// Finds or adds an encoding. Valid until the next call for the same page with another encoding, or until
  /// the page or its events change.
  static EncodedPage &of(const core::EventPage &page, const EventEncoding &encoding);

  std::size_t size() const { return pages_.size(); }

 private:
  PageEncodings() { pages_.reserve(kMost); }

  std::vector<EncodedPage> pages_;
  std::size_t oldest_ = 0;
};

}  // namespace await::wire
