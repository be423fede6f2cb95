#pragma once

#include <string>
#include <string_view>

namespace await::tool {

/// What `await watch` shows: on a terminal one line that is rewritten, with a bar; else a line for each
/// event.
class ProgressLine {
 public:
  enum class Style { live, lines, json };
  explicit ProgressLine(Style style);
  ~ProgressLine();

  /// @param event  valid JSON on one line
  void take(std::string_view event);
  /// Writes something else, above the live line.
  void interject(const std::string &line);
  /// Leaves what is shown, and begins a new line.
  void end();

 private:
  void draw();
  std::string bar(std::size_t width) const;

  Style style_;
  std::string state_;
  std::string note_;  // of the newest event, as it may be shown
  double part_ = -1;  // of 1; less than 0: unknown
  bool drawn_ = false;
};

}  // namespace await::tool
