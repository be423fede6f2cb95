// ngx_http_await_result_module: returns the result of a job.

#include "base/text.h"
#include "http/conf/action.h"
#include "http/exchange/job_document.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/result_response.h"
#include "http/exchange/retry.h"
#include "http/live/job_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_result_module;

namespace await::http {
namespace {

struct ResultConf {
  ngx_http_complex_value_t *id;
  ResultResponseOptions options;
};

ResultConf &result_settings(ngx_http_request_t *r) {
  return *static_cast<ResultConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_result_module));
}

class ResultRequest : public JobWait {
 public:
  ResultRequest(ngx_http_request_t *r, Runtime &runtime, Wait wait)
      : JobWait(r, runtime, core::ResultDetail::body), wait_(wait) {}

  Answer start(const Uuid &id) { return watch(id, wait_.ms); }

 private:
  bool enough(const core::Job &job) const override { return core::is_ending(job.state); }

  std::vector<std::string> etags(const core::Job &job) const override {
    return job.result ? std::vector{result_etag(job)} : std::vector<std::string>();
  }

  void answer(const core::Job &job, bool timed_out) override {
    add_wait_headers(r_, wait_, "Prefer");
    const ResultResponseOptions &options = result_settings(r_).options;
    if (!timed_out) {
      response_.emplace(r_, core::Callback<Answer>::to<&ResultRequest::on_end>(this));
      response_->answer(job, options, runtime_.backends().payloads());
      return;
    }
    add_retry_after(r_);
    if (options.pending_status != 202) {
      finish(send_problem(r_, static_cast<int>(options.pending_status), "The job has not ended yet."));
      return;
    }
    wire::Links links = links_of(r_, "/result");
    add_header(r_, "Cache-Control", "no-store");
    add_header(r_, "Location", links.self);
    finish(send(r_, 202, "application/json",
                job_document(r_, runtime_.backends().timeline(), job, links, nullptr)));
  }

  void on_end(Answer answer) { finish(answer); }

  void leave() override {
    if (response_)
      response_->leave();
    JobWait::leave();
  }

  Wait wait_;
  std::optional<ResultResponse> response_;  // of the current request
};

Answer get_result(ngx_http_request_t *r, Runtime &runtime) {
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  auto id = addressed(r, runtime, ngx::evaluate(r, result_settings(r).id));
  if (!id)
    return id.answer();
  if (auto refusal = check_room(r, runtime, wait->ms > 0))
    return *refusal;
  request_info(r).delivery = "result";
  return ngx::Held::make<ResultRequest>(r, runtime, *wait)->start(*id);
}

char *set_result(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *result = static_cast<ResultConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &LocationConf::result, get_result) == nullptr)
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
      return invalid_parameter(cf, ngx::view(words[i]),
                               "it must be pending=202|404|409, or failed= with a status from 400 to 599");
  }
  return compile_id(cf, words[1], &result->id);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_result"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE123, set_result, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<ResultConf, &ResultConf::id>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_result_module =
    await::http::plain_module(&await::http::context, await::http::commands);
