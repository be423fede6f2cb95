// ngx_http_await_result_module: what the worker made of a job.

#include "base/text.h"
#include "http/deliver.h"
#include "http/facts.h"
#include "http/job.h"
#include "http/respond.h"
#include "http/watch.h"
#include "ngx/pool.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_result_module;

namespace await::http {
namespace {

struct ResultSettings {
  ngx_http_complex_value_t *id;
  DeliveryOptions options;
};

ResultSettings &result_settings(ngx_http_request_t *r) {
  return *static_cast<ResultSettings *>(ngx_http_get_module_loc_conf(r, ngx_http_await_result_module));
}

class ResultRequest : public Watch {
 public:
  ResultRequest(ngx_http_request_t *r, Wait wait) : Watch(r, core::Want::body), wait_(wait) {}

  ngx_int_t start(const Uuid &id) {
    if (wait_.ms > 0) {
      ngx_int_t room = check_room(r_);
      if (room != NGX_OK)
        return room;
      register_first(id);
    }
    read_second(id, wait_.ms);
    return hold();
  }

 private:
  bool enough(const core::Job &job) const override { return core::is_ending(job.state); }

  void answer(const core::Job &job, bool timed_out) override {
    add_wait_headers(r_, wait_, "Prefer");
    const DeliveryOptions &options = result_settings(r_).options;
    if (!timed_out) {
      delivery_.answer(job, options);
      return;
    }
    add_header(r_, "Retry-After", std::to_string(retry_after_s(r_)));
    if (options.pending_status != 202) {
      finish(send_problem(r_, static_cast<int>(options.pending_status), "The job has not ended yet."));
      return;
    }
    wire::Links links = links_of(r_, job.id, "/result");
    add_header(r_, "Cache-Control", "no-store");
    add_header(r_, "Location", links.self);
    finish(send(r_, 202, "application/json", document(r_, job, links)));
  }

  void finished(ngx_int_t rc) { finish(rc); }

  Wait wait_;
  Delivery delivery_{r_, core::Callback<ngx_int_t>::to<&ResultRequest::finished>(this)};
};

ngx_int_t get_result(ngx_http_request_t *r) {
  Wait wait = wait_of(r);
  if (wait.malformed)
    return send_problem(r, 400, "The argument \"wait\" is a whole number of seconds.");
  auto id = job_id(r, result_settings(r).id);
  if (!id)
    return send_problem(r, 404, "There is no such job.");
  if (process()->past_retention(*id))
    return send_problem(r, 410, "Jobs of that time are no longer kept.");
  facts(r).delivery = "result";
  return ngx::make<ResultRequest>(r->pool, r, wait)->start(*id);
}

char *set_result(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *result = static_cast<ResultSettings *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &Settings::result, get_result) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  result->options = {424, 202};
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view value = ngx::view(words[i]);
    std::string_view name = cut(value, '=');
    auto status = parse_number(value, 599).value_or(0);
    if (name == "failed" && status >= 400)
      result->options.failed_status = static_cast<ngx_uint_t>(status);
    else if (name == "pending" && (status == 202 || status == 404 || status == 409))
      result->options.pending_status = static_cast<ngx_uint_t>(status);
    else
      return config_error(
          cf, ngx::view(words[i]),
          "is no option of await_result: there are pending=202|404|409 and failed=<400 to 599>");
  }
  return compile(cf, words[1], &result->id) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_result"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE123, set_result, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

void *create(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(ResultSettings)); }

char *merge(ngx_conf_t *cf, void *parent, void *child) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  auto *inner = static_cast<ResultSettings *>(child);
  if (core->noname && inner->id == nullptr)
    *inner = *static_cast<ResultSettings *>(parent);
  return NGX_CONF_OK;
}

ngx_http_module_t context = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, create, merge};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_result_module = {
    NGX_MODULE_V1,
    &await::http::context,
    await::http::commands,
    NGX_HTTP_MODULE,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    NGX_MODULE_V1_PADDING,
};
