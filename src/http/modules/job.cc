// ngx_http_await_job_module: returns a job's document, by poll and long poll, and cancels jobs.

#include <span>

#include "http/conf/action.h"

#include "base/text.h"
#include "http/conf/formats.h"
#include "http/exchange/conditions.h"
#include "http/exchange/job_document.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/headers.h"
#include "wire/html.h"
#include "wire/job_page.h"

extern ngx_module_t ngx_http_await_job_module;

namespace await::http {

namespace {

struct JobConf {
  ngx_http_complex_value_t *id;
  ngx_uint_t text_first;
};

enum class Representation { json, text, html };

constexpr std::string_view kNames[] = {"json", "text", "html"};  // in entity tags

class JobRequest : public JobWait {
 public:
  /// @param stands  whether the document says where the job stands; it has no entity tag then
  JobRequest(ngx_http_request_t *r, Runtime &runtime, Representation type, Wait wait, bool stands)
      : JobWait(r, runtime, core::ResultDetail::json_value),
        type_(type),
        wait_(wait),
        stands_(stands),
        known_etags_(stands ? std::string() : own_header(r, "if-none-match")) {}

  Answer start(const Uuid &id) { return watch(id, wait_.ms); }

 private:
  std::string etag(const core::Job &job) const {
    return wire::job_etag(job.seq, kNames[static_cast<std::size_t>(type_)]);
  }
  std::vector<std::string> etags(const core::Job &job) const override { return {etag(job)}; }

  bool enough(const core::Job &job) const override {
    if (!known_etags_.empty())
      return !wire::etag_listed(known_etags_, etag(job));
    return core::is_ending(job.state);
  }

  void answer(const core::Job &job, bool timed_out) override {
    if (stands_) {
      answer_standing(job);
      return;
    }
    bool says_timeout = timed_out && wait_.ms > 0 && type_ == Representation::text;
    // "TIMEOUT" stands for the state, so it is equal only by a weak comparison
    add_header(r_, "ETag", (says_timeout ? "W/" : "") + etag(job));
    add_wait_headers(r_, wait_, "Accept, Prefer");
    add_state_headers(r_, job.state);
    if (!known_etags_.empty() && wire::etag_listed(known_etags_, etag(job))) {
      finish(send_empty(r_, 304));
    } else if (type_ == Representation::html) {
      add_header(r_, "Content-Security-Policy", wire::kHtmlPolicy);
      finish(send(r_, 200, "text/html; charset=utf-8", wire::encode_job_page(job, links_of(r_, ""))));
    } else if (type_ == Representation::json) {
      finish(send(r_, 200, "application/json",
                  job_document(r_, runtime_.backends().timeline(), job, links_of(r_, ""),
                               location_conf(r_).document)));
    } else {
      finish(send(r_, 200, "text/plain", says_timeout ? "TIMEOUT" : upper_state(job)));
    }
  }

  void answer_standing(const core::Job &job) {
    if (reply_.waiting())
      return;  // a hint came meanwhile
    job_ = job;
    if (job.state == core::State::pending)
      runtime_.backends().store().standing(job.id, reply_);
    else
      give_standing({});
  }

  void on_standing(Result<core::Standing> standing) {
    if (standing)
      give_standing(*standing);
    else
      refuse(standing.error());
  }

  void give_standing(const core::Standing &standing) {
    add_wait_headers(r_, wait_, "Accept, Prefer");
    add_state_headers(r_, job_->state);
    finish(send(r_, 200, "application/json",
                job_document(r_, runtime_.backends().timeline(), *job_, links_of(r_, ""),
                             location_conf(r_).document, &standing)));
  }

  void leave() override {
    reply_.unlink();
    JobWait::leave();
  }

  static std::string upper_state(const core::Job &job) {
    std::string word(core::state_name(job.state));
    for (char &c : word)
      c = static_cast<char>(c & ~0x20);
    return word;
  }

  Representation type_;
  Wait wait_;
  bool stands_;
  std::string known_etags_;
  std::optional<core::Job> job_;  // while its place is read
  core::Reply<core::Standing> reply_ = core::Reply<core::Standing>::to<&JobRequest::on_standing>(this);
};

/// DELETE: reads the job to check its owner, cancels it, and answers with the job as it is then.
class CancelRequest : public JobWait {
 public:
  CancelRequest(ngx_http_request_t *r, Runtime &runtime)
      : JobWait(r, runtime, core::ResultDetail::json_value), conditional_(has_conditions(r)) {}

  Answer start(const Uuid &id) { return watch(id, 0); }

 private:
  bool enough(const core::Job &) const override { return true; }

  std::vector<std::string> etags(const core::Job &job) const override {
    std::vector<std::string> all;
    for (std::string_view name : kNames)
      all.push_back(wire::job_etag(job.seq, name));
    return all;
  }

  void answer(const core::Job &job, bool) override {
    if (!outcome_) {
      id_ = job.id;
      // the job may have changed since the conditions were checked
      runtime_.backends().store().cancel(id_, conditional_ ? std::optional(job.seq) : std::nullopt, reply_);
      return;
    }
    if (*outcome_ == core::Cancelled::changed) {
      finish(send_problem(r_, 412, "The job has changed since the preconditions were checked; retry."));
      return;
    }
    if (*outcome_ == core::Cancelled::ended) {
      finish(send_problem(
          r_, 409, "The job has already ended: it is " + std::string(core::state_name(job.state)) + "."));
      return;
    }
    bool now = *outcome_ == core::Cancelled::now;
    if (now)
      runtime_.publish_newest(job);
    add_header(r_, "Vary", "Accept, Prefer");
    add_header(r_, "Cache-Control", "no-store");
    finish(send(
        r_, now ? 202 : 200, "application/json",
        job_document(r_, runtime_.backends().timeline(), job, links_of(r_, ""), location_conf(r_).document)));
  }

  void leave() override {
    reply_.unlink();
    JobWait::leave();
  }

  void on_cancelled(Result<core::Cancelled> outcome) {
    if (!outcome) {
      refuse(outcome.error());
      return;
    }
    outcome_ = *outcome;
    read_second(id_, 0);
  }

  Uuid id_;
  bool conditional_;
  std::optional<core::Cancelled> outcome_;
  core::Reply<core::Cancelled> reply_ = core::Reply<core::Cancelled>::to<&CancelRequest::on_cancelled>(this);
};

const JobConf &job_settings(ngx_http_request_t *r) {
  return *static_cast<JobConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_job_module));
}

Answer get_job(ngx_http_request_t *r, Runtime &runtime) {
  const JobConf &conf = job_settings(r);
  constexpr std::string_view kJsonFirst[] = {"application/json", "text/plain", "text/html"};
  constexpr std::string_view kTextFirst[] = {"text/plain", "application/json", "text/html"};
  // what SSI includes is for its page, whatever the browser prefers
  std::span offers = std::span(conf.text_first ? kTextFirst : kJsonFirst).first(r == r->main ? 3 : 2);
  int chosen = wire::choose(header(r, "accept"), offers);
  if (chosen < 0 && location_conf(r).events != nullptr)
    return send_problem(
        r, 406, "A job is available as application/json, text/plain, text/html or text/event-stream.");
  if (chosen < 0)
    return send_problem(r, 406, "A job is available as application/json, text/plain or text/html.");
  auto include = argument(r, "include");
  if (include && *include != "position")
    return send_problem(r, 400, "The argument \"include\" can only be \"position\".");
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  auto id = addressed(r, runtime, ngx::evaluate(r, conf.id));
  if (!id)
    return id.answer();
  if (auto refusal = check_room(r, runtime, wait->ms > 0))
    return *refusal;
  request_info(r).delivery = wait->ms > 0 ? "hold" : "poll";
  Representation type = chosen == 2                               ? Representation::html
                        : (chosen == 1) != (conf.text_first == 1) ? Representation::text
                                                                  : Representation::json;
  bool stands = include && type == Representation::json;
  return ngx::Held::make<JobRequest>(r, runtime, type, *wait, stands)->start(*id);
}

Answer delete_job(ngx_http_request_t *r, Runtime &runtime) {
  auto id = addressed(r, runtime, ngx::evaluate(r, job_settings(r).id));
  if (!id)
    return id.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  return ngx::Held::make<CancelRequest>(r, runtime)->start(*id);
}

char *set_job(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *job = static_cast<JobConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  LocationConf *location = add_action(cf, &LocationConf::job, get_job);
  if (location == nullptr || add_action(cf, &LocationConf::cancel, delete_job) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "default=text") {
      job->text_first = 1;
    } else if (take_format(cf, word, "format", &location->document, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
    } else if (word != "default=json") {
      return invalid_parameter(cf, word, "it must be default=json|text or format=");
    }
  }
  return compile_id(cf, words[1], &job->id);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_job"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_job, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<JobConf, &JobConf::id>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_job_module =
    await::http::plain_module(&await::http::context, await::http::commands);
