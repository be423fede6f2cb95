#pragma once

#include "http/runtime/runtime.h"
#include "ngx/held.h"

namespace await::http {

/// A held request, with the runtime of the nginx worker that holds it.
class HeldRequest : public ngx::Held {
 protected:
  /// Called by content handlers, which run only if there is a runtime.
  explicit HeldRequest(ngx_http_request_t *r) : Held(r), runtime_(*runtime()) {}

  void register_held() { runtime_.lifecycle().register_held(*this); }

  Runtime &runtime_;
};

}  // namespace await::http
