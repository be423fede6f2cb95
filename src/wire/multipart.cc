#include "wire/multipart.h"

#include <algorithm>

#include "base/text.h"
#include "wire/headers.h"

namespace await::wire {
namespace {
using What = Multipart::Event::What;
}

Multipart::Multipart(std::string_view boundary)
    : delimiter_("\r\n--" + std::string(boundary)), held_("\r\n") {
  // the first delimiter may be at the very start: act as if a line ended before it
}

void Multipart::feed(std::string_view bytes) {
  held_.erase(0, used_);
  searched_ -= std::min(searched_, used_);
  used_ = 0;
  held_ += bytes;
}

Multipart::Event Multipart::next() {
  switch (at_) {
    case At::preamble:
      return preamble();
    case At::delimiter_tail:
      return delimiter_tail();
    case At::headers:
      return headers();
    case At::body:
      return body();
    case At::epilogue:
      used_ = held_.size();
      return {What::more};
    case At::broken:
      break;
  }
  return fail("malformed multipart body");
}

Multipart::Event Multipart::preamble() {
  auto found = held_.find(delimiter_, used_);
  if (found == std::string::npos) {
    if (held_.size() - used_ > delimiter_.size())
      used_ = held_.size() - delimiter_.size();
    return {What::more};
  }
  used_ = found + delimiter_.size();
  at_ = At::delimiter_tail;
  return next();
}

Multipart::Event Multipart::delimiter_tail() {
  std::string_view rest = std::string_view(held_).substr(used_);
  if (rest.size() < 2)
    return {What::more};
  if (rest.starts_with("--")) {
    used_ += 2;
    at_ = At::epilogue;
    return {What::end};
  }
  auto line = rest.find("\r\n");
  if (line == std::string_view::npos && rest.size() <= kMaxLine + 1)  // a CR may be the last of it
    return {What::more};
  if (line > kMaxLine)
    return fail("unterminated boundary line");
  if (!trim(rest.substr(0, line)).empty())
    return fail("unexpected data after a boundary");
  used_ += line + 2;
  at_ = At::headers;
  return headers();
}

Multipart::Event Multipart::headers() {
  std::string_view rest = std::string_view(held_).substr(used_);
  // continue the search where it stopped, except for bytes that may start the end of the headers
  std::size_t from = searched_ > used_ + 3 ? searched_ - used_ - 3 : 0;
  std::size_t end = rest.starts_with("\r\n") ? 0 : rest.find("\r\n\r\n", from);
  bool open = end == std::string_view::npos;
  searched_ = open ? held_.size() : 0;
  if (open && rest.size() <= kMaxHeaders + 3)  // three bytes of its end may be there
    return {What::more};
  if (open || end > kMaxHeaders)
    return fail("a part has more than 8 KB of headers");
  if (++parts_ > kMaxParts)
    return fail("more than 1001 parts", true);
  if (!parse_headers(rest.substr(0, end)))
    return fail("a part has no form-data name");
  used_ += end == 0 ? 0 : end + 2;  // the blank line's CRLF stays: an empty body ends right there
  at_ = At::body;
  in_part_ = false;
  return {What::part, {}, &part_, nullptr};
}

bool Multipart::parse_headers(std::string_view block) {
  part_ = {};
  bool named = false;
  while (!block.empty()) {
    auto line_end = block.find("\r\n");
    std::string_view value = block.substr(0, line_end);
    block = line_end == std::string_view::npos ? std::string_view() : block.substr(line_end + 2);
    std::string_view name = trim(cut(value, ':'));
    value = trim(value);
    if (iequals(name, "content-disposition")) {
      auto field = parameter(value, "name");
      named = essence(value) == "form-data" && field.has_value();
      part_.name = field.value_or("");
      part_.file_name = parameter(value, "filename");
    } else if (iequals(name, "content-type")) {
      part_.type = value;
    } else if (iequals(name, "content-transfer-encoding")) {
      part_.encoded = !iequals(value, "binary") && !iequals(value, "8bit") && !iequals(value, "7bit");
    }
  }
  return named;
}

Multipart::Event Multipart::body() {
  if (!in_part_) {  // the CRLF that ends the headers may also begin the delimiter
    std::string_view rest = std::string_view(held_).substr(used_);
    if (rest.size() < delimiter_.size() && std::string_view(delimiter_).starts_with(rest))
      return {What::more};
    if (!rest.starts_with(delimiter_))
      used_ += 2;
    in_part_ = true;
  }
  auto found = held_.find(delimiter_, used_);
  std::size_t end = found;
  if (found == std::string::npos) {
    // hold back bytes that may start a delimiter
    std::size_t keep = std::min(delimiter_.size() - 1, held_.size() - used_);
    while (keep > 0 &&
           !std::string_view(delimiter_).starts_with(std::string_view(held_).substr(held_.size() - keep)))
      --keep;
    end = held_.size() - keep;
  }
  if (end > used_) {
    std::string_view data = std::string_view(held_).substr(used_, end - used_);
    used_ = end;
    return {What::data, data};
  }
  if (found == std::string::npos)
    return {What::more};
  used_ = found + delimiter_.size();
  at_ = At::delimiter_tail;
  return {What::part_end};
}

Multipart::Event Multipart::fail(const char *why, bool too_much) {
  at_ = At::broken;
  return {What::error, {}, nullptr, why, too_much};
}

}  // namespace await::wire
