#include "http/exchange/file_type.h"

#include <string>

#include "base/text.h"
#include "ngx/str.h"

namespace await::http {

std::string_view type_of_file(ngx_http_request_t *r, std::string_view name) {
  auto dot = name.rfind('.');
  auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  if (dot == name.npos || core->types_hash.buckets == nullptr)
    return {};
  std::string extension = lower(name.substr(dot + 1));
  ngx_str_t key = ngx::borrow(extension);
  auto *type = static_cast<ngx_str_t *>(
      ngx_hash_find(&core->types_hash, ngx_hash_key(key.data, key.len), key.data, key.len));
  return type != nullptr ? ngx::view(*type) : std::string_view();
}

}  // namespace await::http
