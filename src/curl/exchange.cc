#include "curl/exchange.h"

#include "base/text.h"
#include "curl/transfer.h"
#include "wire/response_head.h"

namespace await::curl {

const std::string *Head::find(std::string_view name) const {
  for (const auto &[key, value] : headers) {
    if (iequals(key, name))
      return &value;
  }
  return nullptr;
}

std::string_view failure_name(Failure failure) {
  switch (failure) {
    case Failure::none:
      return "none";
    case Failure::resolve:
      return "resolve";
    case Failure::forbidden:
      return "forbidden";
    case Failure::connect:
      return "connect";
    case Failure::tls:
      return "tls";
    case Failure::timeout:
      return "timeout";
    case Failure::cut:
      return "cut";
    case Failure::garbage:
      return "garbage";
    case Failure::too_large:
      return "too_large";
  }
  return "";
}

std::optional<std::int64_t> retry_after_ms(const Head &head, std::int64_t unix_ms, std::int64_t most_ms) {
  const std::string *value = head.find("Retry-After");
  if (value == nullptr)
    return std::nullopt;
  return wire::retry_after_ms(*value, unix_ms, most_ms);
}

std::size_t Listener::on_room(std::int64_t, std::span<char>) { return 0; }

Exchange::Exchange(Transfer &transfer) : transfer_(&transfer) { transfer.bind(this); }

Exchange::~Exchange() {
  if (transfer_ != nullptr)
    transfer_->orphan();
}

void Exchange::resume_body() {
  if (transfer_ != nullptr)
    transfer_->resume_body();
}

void Exchange::resume_upload() {
  if (transfer_ != nullptr)
    transfer_->resume_upload();
}

}  // namespace await::curl
