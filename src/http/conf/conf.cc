#include "http/conf/conf.h"

#include "http/conf/variables.h"
#include "ngx/str.h"

namespace await::http {

MainConf &main_conf(ngx_http_request_t *r) {
  return *static_cast<MainConf *>(ngx_http_get_module_main_conf(r, ngx_http_await_module));
}

const LocationConf &location_conf(ngx_http_request_t *r) {
  return *static_cast<LocationConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_module));
}

std::optional<std::string_view> owner_of(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  if (location.scoped != 1)
    return std::nullopt;
  return ngx::evaluate(r, location.owner);
}

std::string_view problem_base(ngx_http_request_t *r) { return ngx::view(location_conf(r).problem_base); }

char *config_error(ngx_conf_t *cf, const char *what) {
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", what);
  return static_cast<char *>(NGX_CONF_ERROR);
}

char *config_error(ngx_conf_t *cf, std::string_view word, const char *what) {
  ngx_str_t text = ngx::borrow(word);
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" %s", &text, what);
  return static_cast<char *>(NGX_CONF_ERROR);
}

namespace {

char *log_invalid(ngx_conf_t *cf, const char *noun, std::string_view word, const char *rule) {
  ngx_str_t text = ngx::borrow(word);
  ngx_str_t directive = static_cast<ngx_str_t *>(cf->args->elts)[0];
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %s \"%V\" in \"%V\" directive, %s", noun, &text,
                     &directive, rule);
  return static_cast<char *>(NGX_CONF_ERROR);
}

}  // namespace

char *invalid_value(ngx_conf_t *cf, std::string_view word, const char *rule) {
  return log_invalid(cf, "value", word, rule);
}

char *invalid_parameter(ngx_conf_t *cf, std::string_view word, const char *rule) {
  return log_invalid(cf, "parameter", word, rule);
}

bool compile(ngx_conf_t *cf, ngx_str_t text, ngx_http_complex_value_t **out) {
  *out = static_cast<ngx_http_complex_value_t *>(ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t)));
  ngx_http_compile_complex_value_t compile{};
  compile.cf = cf;
  compile.value = static_cast<ngx_str_t *>(ngx_palloc(cf->pool, sizeof(ngx_str_t)));
  *compile.value = text;
  compile.complex_value = *out;
  note_variables(cf, text);
  return ngx_http_compile_complex_value(&compile) == NGX_OK;
}

char *compile_id(ngx_conf_t *cf, ngx_str_t text, ngx_http_complex_value_t **out, std::string_view noun) {
  std::string_view word = ngx::view(text);
  std::string prefix = std::string(noun) + ":";
  if (word.find('$') == word.npos)
    return invalid_value(
        cf, word,
        ("the id of a " + std::string(noun) +
         " must be a variable, such as a capture \"$id\" of the location's regular expression")
            .c_str());
  if (word.starts_with(prefix))
    return invalid_value(cf, word, ("it must be an id, without \"" + prefix + "\"").c_str());
  return compile(cf, text, out) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

}  // namespace await::http
