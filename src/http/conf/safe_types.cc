#include "http/conf/safe_types.h"

#include <iterator>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "ngx/str.h"
#include "wire/headers.h"

namespace await::http {

char *set_safe_types(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->safe_types != nullptr)
    return const_cast<char *>("is duplicate");
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  location->safe_types = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    if (!wire::is_media_type(word) || word.find_first_of("*;") != word.npos)
      return invalid_value(cf, word, "it must be a media type such as \"image/png\"");
    auto *type = static_cast<ngx_str_t *>(ngx_array_push(location->safe_types));
    *type = ngx::copy(cf->pool, lower(ngx::view(words[i])));
  }
  return NGX_CONF_OK;
}

ngx_array_t *default_safe_types(ngx_conf_t *cf) {
  constexpr std::string_view kTypes[] = {"application/json", "text/plain", "image/png",
                                         "image/jpeg",       "image/webp", "image/gif"};
  ngx_array_t *types = ngx_array_create(cf->pool, std::size(kTypes), sizeof(ngx_str_t));
  for (std::string_view type : kTypes)
    *static_cast<ngx_str_t *>(ngx_array_push(types)) = ngx::borrow(type);
  return types;
}

}  // namespace await::http
