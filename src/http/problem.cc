// ngx_http_await_problem_module: gives nginx's own errors the form of ours, as the target of error_page.

#include "http/problem.h"

#include "http/action.h"
#include "http/facts.h"
#include "http/respond.h"
#include "http/settings.h"
#include "ngx/guard.h"
#include "ngx/str.h"

namespace await::http {

ngx_int_t problem_handler(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    int status = static_cast<int>(r->err_status != 0 ? r->err_status : NGX_HTTP_NOT_FOUND);
    Facts *known = find_facts(r);
    bool ours = known != nullptr && known->problem && known->problem->status == status;
    wire::Problem problem = ours ? *known->problem : wire::problem_of_status(status);
    note_problem(r, problem);
    if ((status == 429 || status == 503) && !ours)
      add_header(r, "Retry-After", std::to_string(retry_after_s(r)));
    return send_problem_body(r, status, wire::encode(problem, problem_base(r), ngx::view(r->uri))).rc();
  });
}

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
