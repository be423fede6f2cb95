#pragma once

#include <span>
#include <string_view>

namespace await::http {

/// A file of console/, compiled into the module by tools/embed-console.
struct ConsoleAsset {
  std::string_view path;  ///< "/app.js"
  std::string_view type;
  std::string_view etag;  ///< with quotes
  std::string_view bytes;
};

std::span<const ConsoleAsset> console_assets();

}  // namespace await::http
