#include "http/conf/place.h"

#include <string>

#include "ngx/str.h"

namespace await::http {

Place place_of(ngx_conf_t *cf) {
  return {static_cast<ngx_str_t *>(cf->args->elts)[0], cf->conf_file->file.name, cf->conf_file->line};
}

char *error_at(ngx_conf_t *cf, const Place &place, std::string_view text) {
  ngx_str_t shown = ngx::borrow(text);
  // as by ngx_conf_log_error(), which knows only the current line
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%V in %V:%ui", &shown, &place.file, place.line);
  return static_cast<char *>(NGX_CONF_ERROR);
}

char *directive_error(ngx_conf_t *cf, const Place &place, std::string_view what) {
  std::string name(ngx::view(place.directive));
  return error_at(cf, place, "\"" + name + "\" directive " + std::string(what));
}

}  // namespace await::http
