#include "http/conf/list_options.h"

#include "http/conf/conf.h"
#include "http/conf/formats.h"
#include "http/conf/settings.h"
#include "http/conf/submit_options.h"
#include "ngx/str.h"

namespace await::http {

char *parse_list_options(ngx_conf_t *cf, LocationConf *location, bool takes_queue, ListConf &conf) {
  if (location == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  const char *rule = takes_queue ? "it must be the name of a queue, in front, or all or format="
                                 : "it must be all or format=";
  conf.used = 1;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "all")
      conf.all = 1;
    else if (take_format(cf, word, "format", &conf.format, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
    } else if (!takes_queue || i > 1 || !is_queue_name(sample(word, "q")))
      return invalid_parameter(cf, word, rule);
    else if (!compile(cf, words[i], &conf.queue))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  if (conf.all == 0)
    location->owner_needed_at = place_of(cf);
  return NGX_CONF_OK;
}

}  // namespace await::http
