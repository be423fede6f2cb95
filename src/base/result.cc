#include "base/result.h"

namespace await {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::unavailable:
      return "unavailable";
    case Code::timeout:
      return "timeout";
    case Code::conflict:
      return "conflict";
    case Code::not_found:
      return "not_found";
    case Code::invalid:
      return "invalid";
    case Code::forbidden:
      return "forbidden";
    case Code::too_large:
      return "too_large";
    case Code::exhausted:
      return "exhausted";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace await
