// ngx_http_await_retry_job_module: runs a job that has ended once more, as a new job.

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/conf/submit_options.h"
#include "http/exchange/full_queue.h"
#include "http/exchange/job_document.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_retry_job_module;

namespace await::http {
namespace {

struct RetryConf {
  ngx_http_complex_value_t *id;
  SubmitOptions options;  ///< max_pending= and max_pending_per_owner=
};

/// Reads the job to check its owner, retries it, and answers with the new job.
class RetryRequest : public JobWait {
 public:
  RetryRequest(ngx_http_request_t *r, Runtime &runtime, const core::PendingLimits &limits)
      : JobWait(r, runtime, core::ResultDetail::none), limits_(limits) {}

  Answer start(const Uuid &id) { return watch(id, 0); }

 private:
  using Outcome = core::Retried::Outcome;

  bool enough(const core::Job &) const override { return true; }

  void answer(const core::Job &job, bool) override {
    if (retried_) {
      answer_new(job);
      return;
    }
    if (!core::is_ending(job.state)) {
      refuse_running();
      return;
    }
    old_ = job.id;
    runtime_.backends().store().retry(job.id, limits_, reply_);
  }

  void refuse_running() {
    finish(send_problem(r_, 409, "The job has not ended yet; only a job that has ended can be retried."));
  }

  void answer_new(const core::Job &job) {
    if (retried_->outcome == Outcome::made) {
      runtime_.backends().bus().announce(job.queue);
      if (job.owner)
        runtime_.user_hints().publish_soon(*job.owner);
    } else {
      add_header(r_, "Idempotency-Replayed", "true");
    }
    wire::Links links = links_of_retry(r_, old_, job.id);
    add_header(r_, "Link", "<" + links.self + ">; rel=\"status\"");
    add_header(r_, "Location", links.self);
    add_state_headers(r_, job.state);
    finish(send(r_, 202, "application/json",
                job_document(r_, runtime_.backends().timeline(), job, links, location_conf(r_).document)));
  }

  void leave() override {
    reply_.unlink();
    JobWait::leave();
  }

  void on_retried(Result<core::Retried> retried) {
    if (!retried) {
      refuse(retried.error());
    } else if (retried->outcome == Outcome::running) {
      refuse_running();
    } else if (retried->outcome == Outcome::unknown) {
      refuse({Code::not_found, "no such job"});
    } else if (retried->outcome == Outcome::full) {
      finish(send_full(r_, retried->full, retried->retry_ms, limits_.max_pending_per_owner));
    } else {
      retried_ = *retried;
      request_info(r_).id = retried_->id.text();  // for await_job_uri
      read_second(retried_->id, 0);
    }
  }

  core::PendingLimits limits_;
  Uuid old_;
  std::optional<core::Retried> retried_;
  core::Reply<core::Retried> reply_ = core::Reply<core::Retried>::to<&RetryRequest::on_retried>(this);
};

Answer retry_job(ngx_http_request_t *r, Runtime &runtime) {
  auto &conf = *static_cast<RetryConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_retry_job_module));
  auto id = addressed(r, runtime, ngx::evaluate(r, conf.id));
  if (!id)
    return id.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  return ngx::Held::make<RetryRequest>(r, runtime, pending_limits(conf.options))->start(*id);
}

char *set_retry_job(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto &retry = *static_cast<RetryConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  LocationConf *location = add_action(cf, &LocationConf::retry_job, retry_job);
  if (location == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (take_format(cf, word, "format", &location->document, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
      continue;
    }
    std::string_view value = word;
    std::string_view name = cut(value, '=');
    bool is_limit = name == "max_pending" || name == "max_pending_per_owner";
    if (!is_limit)
      return invalid_parameter(cf, word, "it must be max_pending=, max_pending_per_owner= or format=");
    if (const char *why = *parse_job_option(cf, name, value, retry.options))
      return invalid_parameter(cf, word, why);
    if (name == "max_pending_per_owner")
      location->owner_quota_at = place_of(cf);
  }
  return compile_id(cf, words[1], &retry.id);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_retry_job"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_retry_job, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<RetryConf, &RetryConf::id>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_retry_job_module =
    await::http::plain_module(&await::http::context, await::http::commands);
