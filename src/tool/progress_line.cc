#include "tool/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tool/json.h"
#include "tool/service.h"

namespace await::tool {
namespace {

std::size_t columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/// How much is done, of 1: `done` of `total`, or `percent`. Less than 0: the data does not tell.
double part_of(std::string_view event) {
  auto number = [&](const char *name) { return std::strtod(text_at(event, name).c_str(), nullptr); };
  double total = number("data.total");
  double part = total > 0                                ? number("data.done") / total
                : text_at(event, "data.percent").empty() ? -1
                                                         : number("data.percent") / 100;
  return std::isfinite(part) ? std::min(part, 1.0) : -1;
}

/// `text`, cut to so many characters.
std::string cut_to(const std::string &text, std::size_t width) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && seen++ == width)
      return text.substr(0, i);
  }
  return text;
}

std::string note_of(std::string_view event, const std::string &type) {
  for (const char *path : {"data.title", "data.detail", "data.error.title", "data.message", "data.stage"}) {
    if (std::string text = text_at(event, path); !text.empty())
      return shown(text);
  }
  return type == "completed"
             ? shown(text_at(event, "result.type")) + ", " + shown(text_at(event, "result.size")) + " bytes"
             : "";
}

}  // namespace

ProgressLine::ProgressLine(Style style) : style_(style) {}
ProgressLine::~ProgressLine() { end(); }

void ProgressLine::take(std::string_view event) {
  std::string type = text_at(event, "type");
  if (style_ == Style::json) {
    std::printf("%s\n", shown_json(event).c_str());
    std::fflush(stdout);
    return;
  }
  if (has_ended(type) || type == "pending" || type == "processing")
    state_ = type;
  if (type == "pending" || type == "processing")
    part_ = -1;  // another attempt begins anew
  if (double part = part_of(event); part >= 0)
    part_ = part;
  if (type == "completed")
    part_ = 1;
  if (std::string note = note_of(event, type); !note.empty() || has_ended(type))
    note_ = note;
  if (style_ == Style::live) {
    draw();
    return;
  }
  std::string data = text_at(event, "data");
  std::printf("%s  %-10s  %s\n", shown(text_at(event, "at")).c_str(), shown(type).c_str(),
              has_ended(type) ? note_.c_str() : shown_json(data).c_str());
  std::fflush(stdout);
}

std::string ProgressLine::bar(std::size_t width) const {
  auto full = static_cast<std::size_t>(std::lround(std::max(part_, 0.0) * static_cast<double>(width)));
  char percent[16];
  std::snprintf(percent, sizeof percent, " %3d%%", static_cast<int>(std::max(part_, 0.0) * 100));
  return "[" + std::string(full, '#') + std::string(width - full, '-') + "]" + percent;
}

void ProgressLine::draw() {
  std::string text = state_ + "  " + bar(20) + (note_.empty() ? "" : "  " + note_);
  std::printf("\r%s\x1b[K", cut_to(text, columns() - 1).c_str());
  std::fflush(stdout);
  drawn_ = true;
}

void ProgressLine::interject(const std::string &line) {
  if (drawn_)
    std::printf("\r\x1b[K");
  std::fflush(stdout);
  std::fprintf(stderr, "await: %s\n", shown(line).c_str());
  if (drawn_)
    draw();
}

void ProgressLine::end() {
  if (drawn_)
    std::printf("\n");
  drawn_ = false;
  std::fflush(stdout);
}

}  // namespace await::tool
