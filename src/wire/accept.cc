#include "wire/accept.h"

#include <optional>

#include "base/text.h"

namespace await::wire {
namespace {

/// The quality, 0 to 1000; 1000 if malformed, as if it were absent.
int parse_quality(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = cut(parameters, ';');
    std::string_view name = trim(cut(value, '='));
    value = trim(value);
    if (!iequals(name, "q") || value.empty())
      continue;
    int quality = value[0] == '1' ? 1000 : 0;
    int scale = 100;
    for (char c : value.substr(1)) {
      if (c >= '0' && c <= '9' && scale > 0) {
        quality += (c - '0') * scale;
        scale /= 10;
      }
    }
    return quality > 1000 ? 1000 : quality;
  }
  return 1000;
}

/// How specifically a range matches: 0 not at all, 1 for */*, 2 for type/*, 3 for the type itself.
int specificity(std::string_view range, std::string_view offer) {
  if (range == "*/*")
    return 1;
  auto slash = offer.find('/');
  if (range.ends_with("/*"))
    return iequals(range.substr(0, range.size() - 2), offer.substr(0, slash)) ? 2 : 0;
  return iequals(range, offer) ? 3 : 0;
}

int quality_of(std::string_view accept, std::string_view offer) {
  int best = 0;
  int quality = 0;
  while (!accept.empty()) {
    std::string_view parameters = cut(accept, ',');
    std::string_view range = trim(cut(parameters, ';'));
    int match = specificity(range, offer);
    if (match > best) {
      best = match;
      quality = parse_quality(parameters);
    }
  }
  return quality;
}

}  // namespace

int choose(std::string_view accept, std::span<const std::string_view> offers) {
  if (trim(accept).empty())
    return 0;
  int best = -1;
  int best_quality = 0;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    int quality = quality_of(accept, offers[i]);
    if (quality > best_quality) {
      best = static_cast<int>(i);
      best_quality = quality;
    }
  }
  return best;
}

}  // namespace await::wire
