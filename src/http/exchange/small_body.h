#pragma once

#include <string>

#include "http/exchange/receiver.h"

namespace await::http {

/// A request whose body is small enough to be kept in memory as a whole.
class SmallBody : public Receiver {
 protected:
  /// @param max  the size in bytes
  /// @param too_large  the answer to a longer body
  SmallBody(ngx_http_request_t *r, Runtime &runtime, std::size_t max, Objection too_large)
      : Receiver(r, runtime), max_(max), too_large_(std::move(too_large)) {}

  /// Complete when on_body() is called.
  const std::string &body() const { return body_; }

 private:
  std::optional<Objection> add(std::string_view bytes) final {
    if (body_.size() + bytes.size() > max_)
      return too_large_;
    body_ += bytes;
    return std::nullopt;
  }
  std::size_t weight() const final { return body_.capacity(); }

  std::size_t max_;
  Objection too_large_;
  std::string body_;
};

}  // namespace await::http
