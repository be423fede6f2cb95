// ngx_http_await_problem_module: sends nginx's own errors as problem documents, as the target of error_page.

#include "http/conf/action.h"
#include "http/exchange/problem_page.h"
#include "http/modules/dispatch.h"

namespace await::http {

namespace {

char *set_problem(ngx_conf_t *cf, ngx_command_t *, void *) { return set_content(cf, problem_handler); }

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
