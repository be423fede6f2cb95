// ngx_http_await_jobs_module: lists jobs, newest first, page by page.

#include "http/conf/action.h"
#include "http/exchange/job_document.h"
#include "http/exchange/request.h"
#include "http/live/list_page.h"
#include "http/modules/dispatch.h"

extern ngx_module_t ngx_http_await_jobs_module;

namespace await::http {
namespace {

class JobsPage : public ListPage<core::Job> {
 public:
  using ListPage::ListPage;

 private:
  std::string document(const core::Job &job) override {
    return job_document(r_, runtime_.backends().timeline(), job, links_of_new(r_, job.id), format_);
  }
};

Answer get_jobs(ngx_http_request_t *r, Runtime &runtime) {
  auto *conf = static_cast<ListConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_jobs_module));
  return answer_list<JobsPage>(r, runtime, *conf);
}

char *set_jobs(ngx_conf_t *cf, ngx_command_t *, void *data) {
  LocationConf *location = add_action(cf, &LocationConf::jobs, get_jobs);
  return parse_list_options(cf, location, true, *static_cast<ListConf *>(data));
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_jobs"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_jobs, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<ListConf, &ListConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_jobs_module =
    await::http::plain_module(&await::http::context, await::http::commands);
