// ngx_http_await_jobs_module: lists jobs, newest first, page by page.

#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/conf/settings.h"
#include "http/conf/submit_options.h"
#include "http/exchange/job_document.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/live/list_page.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/accept.h"

extern ngx_module_t ngx_http_await_jobs_module;

namespace await::http {
namespace {

struct JobsConf {
  ngx_http_complex_value_t *queue;  // null: any
  const wire::Format *format;       // of each job; null: as in docs/http.md
  ngx_uint_t used;
  ngx_uint_t all;  // everybody's jobs
};

class JobsPage : public ListPage<core::JobPage> {
 public:
  JobsPage(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query, const wire::Format *format)
      : ListPage(r, runtime, query), format_(format) {}

 private:
  Answer answer(const core::JobPage &page) override {
    std::string jobs;
    for (const core::Job &job : page.jobs)
      jobs.append(jobs.empty() ? "" : ",").append(document(job));
    request_info(r_).id.clear();
    wire::JsonWriter out;
    out.made("jobs", "[" + jobs + "]");
    return send_page(r_, runtime_, query(), std::move(out), page.next);
  }
  std::string document(const core::Job &job) {
    request_info(r_).id = job.id.text();  // for await_job_uri
    return job_document(r_, runtime_.backends().timeline(), job, links_of_new(r_, job.id), format_);
  }

  const wire::Format *format_;
};

Answer get_jobs(ngx_http_request_t *r, Runtime &runtime) {
  auto &conf = *static_cast<JobsConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_jobs_module));
  constexpr std::string_view kOffers[] = {"application/json"};
  if (wire::choose(header(r, "accept"), kOffers) < 0)
    return send_problem(r, 406, "A list of jobs is available as application/json.");
  ListScope scope;
  if (conf.all == 0)
    scope.owner = owner_of(r);
  if (conf.queue != nullptr) {
    scope.queue = ngx::evaluate(r, conf.queue);
    if (!is_queue_name(*scope.queue))
      return send_problem(r, 400, "Invalid queue name; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  }
  auto page = asked_page(r, scope, runtime.keys().cursor_keys());
  if (!page)
    return page.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  request_info(r).delivery = "list";
  return ngx::Held::make<JobsPage>(r, runtime, std::move(*page), conf.format)->start();
}

char *set_jobs(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<JobsConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  LocationConf *location = add_action(cf, &LocationConf::jobs, get_jobs);
  if (location == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  conf->used = 1;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "all")
      conf->all = 1;
    else if (take_format(cf, word, "format", &conf->format, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
    } else if (i > 1 || !is_queue_name(sample(word, "q")))
      return invalid_parameter(cf, word, "it must be the name of a queue, in front, or all or format=");
    else if (!compile(cf, words[i], &conf->queue))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  if (conf->all == 0)
    location->owner_needed_at = place_of(cf);
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_jobs"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_jobs, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<JobsConf, &JobsConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_jobs_module =
    await::http::plain_module(&await::http::context, await::http::commands);
