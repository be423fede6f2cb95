#pragma once

#include "ngx/nginx.h"

namespace await::http {

/// The configuration of an action's module. Actions do not inherit, but `if` and limit_except blocks are
/// part of their location.
/// @tparam Given  the member that is not null, or not 0, where the directive stands
template <class Conf, auto Given>
constexpr ngx_http_module_t action_context() {
  auto create = [](ngx_conf_t *cf) -> void * { return ngx_pcalloc(cf->pool, sizeof(Conf)); };
  auto merge = [](ngx_conf_t *cf, void *parent, void *child) -> char * {
    auto *core =
        static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    auto *inner = static_cast<Conf *>(child);
    if (core->noname && !(inner->*Given))
      *inner = *static_cast<Conf *>(parent);
    return NGX_CONF_OK;
  };
  return {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, create, merge};
}

/// An nginx module that only has a context and directives.
constexpr ngx_module_t plain_module(ngx_http_module_t *context, ngx_command_t *commands) {
  return {NGX_MODULE_V1, context, commands, NGX_HTTP_MODULE, nullptr, nullptr,
          nullptr,       nullptr, nullptr,  nullptr,         nullptr, NGX_MODULE_V1_PADDING};
}

}  // namespace await::http
