#include "core/snapshot_view.h"

#include <algorithm>

#include "base/text.h"

namespace await::core {
namespace {

std::optional<std::uint64_t> take_number(std::string_view &rest, char separator) {
  auto number = parse_number(cut(rest, separator));
  return number ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

}  // namespace

std::optional<SnapshotView> SnapshotView::parse(std::string_view text) {
  SnapshotView out;
  if (std::count(text.begin(), text.end(), ':') != 2 || text.ends_with(','))
    return std::nullopt;
  auto xmin = take_number(text, ':');
  auto xmax = take_number(text, ':');
  if (!xmin || !xmax || *xmax < *xmin)
    return std::nullopt;
  out.xmin_ = *xmin;
  out.xmax_ = *xmax;
  while (!text.empty()) {
    auto xid = take_number(text, ',');
    if (!xid || *xid < *xmin || *xid >= *xmax || (!out.running_.empty() && *xid <= out.running_.back()))
      return std::nullopt;
    out.running_.push_back(*xid);
  }
  return out;
}

bool SnapshotView::sees(std::uint64_t xid) const {
  if (xid < xmin_ || xid >= xmax_)
    return xid < xmin_;
  return !std::binary_search(running_.begin(), running_.end(), xid);
}

bool SnapshotView::covers(const SnapshotView &other) const {
  if (xmax_ < other.xmax_)
    return false;
  return std::none_of(running_.begin(), running_.end(), [&](std::uint64_t xid) { return other.sees(xid); });
}

}  // namespace await::core
