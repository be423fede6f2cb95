// ngx_http_await_problem_module: sends nginx's own errors as problem documents, as the target of error_page.

#include "http/conf/action.h"
#include "http/exchange/problem_page.h"

namespace await::http {

namespace {

char *set_problem(ngx_conf_t *cf, ngx_command_t *, void *) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  core->handler = problem_handler;
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_problem"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_problem, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = {};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_problem_module =
    await::http::plain_module(&await::http::context, await::http::commands);
