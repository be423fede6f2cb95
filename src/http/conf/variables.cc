#include "http/conf/variables.h"

#include <algorithm>
#include <string>

#include "http/conf/conf.h"
#include "http/conf/place.h"
#include "ngx/str.h"

namespace await::http {
namespace {

struct UsedVariable {
  ngx_str_t name;  ///< in lower case
  Place place;
};

bool is_name_char(u_char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// As ngx_http_variables_init_vars() searches for them, after all postconfigurations.
bool is_known(const ngx_http_core_main_conf_t &core, const ngx_str_t &name) {
  auto *keys = static_cast<ngx_hash_key_t *>(core.variables_keys->keys.elts);
  bool named = std::any_of(keys, keys + core.variables_keys->keys.nelts, [&](const ngx_hash_key_t &key) {
    return ngx::view(key.key) == ngx::view(name) &&
           static_cast<ngx_http_variable_t *>(key.value)->get_handler != nullptr;
  });
  auto *prefixes = static_cast<ngx_http_variable_t *>(core.prefix_variables.elts);
  return named || std::any_of(prefixes, prefixes + core.prefix_variables.nelts, [&](auto &prefix) {
           return ngx::view(name).starts_with(ngx::view(prefix.name));
         });
}

}  // namespace

void note_variables(ngx_conf_t *cf, ngx_str_t text) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (main->variables == nullptr)
    main->variables = ngx_array_create(cf->pool, 8, sizeof(UsedVariable));
  u_char *end = text.data + text.len;
  for (u_char *at = std::find(text.data, end, '$'); at != end; at = std::find(at, end, '$')) {
    ++at;
    if (at != end && *at == '{')
      ++at;
    u_char *last = std::find_if_not(at, end, is_name_char);
    if (last == at || (*at >= '0' && *at <= '9') || main->variables == nullptr)
      continue;  // a numbered capture, or an error that nginx reports
    auto *used = static_cast<UsedVariable *>(ngx_array_push(main->variables));
    auto *name = static_cast<u_char *>(ngx_pnalloc(cf->pool, static_cast<std::size_t>(last - at)));
    if (used == nullptr || name == nullptr)
      return;
    ngx_strlow(name, at, static_cast<std::size_t>(last - at));
    *used = {{static_cast<std::size_t>(last - at), name}, place_of(cf)};
  }
}

char *refuse_unknown_variables(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
  auto *used = main->variables != nullptr ? static_cast<UsedVariable *>(main->variables->elts) : nullptr;
  for (ngx_uint_t i = 0; used != nullptr && i < main->variables->nelts; ++i) {
    if (!is_known(*core, used[i].name)) {
      std::string name(ngx::view(used[i].name));
      std::string directive(ngx::view(used[i].place.directive));
      return error_at(
          cf, used[i].place,
          "unknown \"" + name + "\" variable in \"" + directive +
              "\" directive, it must be defined by nginx, by \"set\" or \"map\", or as a capture in the "
              "location's regular expression, such as \"(?<" +
              name + ">[0-9a-f-]+)\"");
    }
  }
  return NGX_CONF_OK;
}

}  // namespace await::http
