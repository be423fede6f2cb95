#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace await::tool {

/// Parses an event stream (WHATWG HTML §9.2.6) as it arrives. Its memory is bounded: a line or the data of an
/// event that is longer than `kMost` is an error.
class EventStream {
 public:
  static constexpr std::size_t kMost = 1 << 20;

  struct Event {
    std::string id;    ///< of the newest event that had one
    std::string type;  ///< empty: message
    std::string data;
  };

  explicit EventStream(std::function<bool(const Event &event)> take) : take_(std::move(take)) {}
  /// Returns false if enough was taken, or the stream is malformed: failed() tells.
  bool feed(std::string_view bytes);
  bool failed() const { return failed_; }

 private:
  bool line(std::string_view text);
  std::function<bool(const Event &event)> take_;
  std::string rest_;
  Event event_;
  bool has_data_ = false;
  bool failed_ = false;
  bool after_cr_ = false;
};

}  // namespace await::tool
