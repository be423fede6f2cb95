#include "http/exchange/problem_page.h"

#include "http/conf/conf.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "ngx/guard.h"
#include "ngx/str.h"

namespace await::http {

ngx_int_t problem_handler(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    int status = static_cast<int>(r->err_status != 0 ? r->err_status : NGX_HTTP_NOT_FOUND);
    RequestInfo *known = find_request_info(r);
    bool ours = known != nullptr && known->problem && known->problem->status == status;
    wire::Problem problem = ours ? *known->problem : wire::problem_of_status(status);
    note_problem(r, problem);
    if ((status == 429 || status == 503) && !ours)
      add_retry_after(r);
    return send_problem_body(r, status, wire::encode(problem, problem_base(r), ngx::view(r->uri))).rc();
  });
}

}  // namespace await::http
