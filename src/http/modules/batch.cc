// ngx_http_await_batch_module: submits batches, returns a batch's document, by poll and long poll, and
// cancels batches.

#include <optional>
#include <string>

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/batch_options.h"
#include "http/conf/conf.h"
#include "http/exchange/conditions.h"
#include "http/exchange/full_queue.h"
#include "http/exchange/job_document.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/submission.h"
#include "http/exchange/webhook.h"
#include "http/live/batch_submission.h"
#include "http/live/batch_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/batch_document.h"
#include "wire/headers.h"

extern ngx_module_t ngx_http_await_batch_module;

namespace await::http {
namespace {

const BatchConf &batch_conf(ngx_http_request_t *r) {
  return *static_cast<BatchConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_batch_module));
}

/// GET: the document, or the state in one word.
class BatchRequest : public BatchWait {
 public:
  BatchRequest(ngx_http_request_t *r, Runtime &runtime, bool text, Wait wait, JobsPage page)
      : BatchWait(r, runtime, page), text_(text), wait_(wait), known_etags_(own_header(r, "if-none-match")) {}

  Answer start(const Uuid &id) { return look(id, wait_.ms); }

 private:
  bool asks_conditions() const override { return false; }  // they are about the document, see answer_batch()

  /// With If-None-Match it waits for an event that the client has not seen: tags begin with its number.
  bool enough(const core::Job &job) const override {
    if (known_etags_.empty())
      return core::is_ending(job.state);
    return known_etags_.find("\"" + std::to_string(job.seq) + "-") == std::string::npos;
  }

  std::optional<Answer> answer_batch(const core::Batch &batch, bool timed_out) override {
    std::string body = text_ ? word_of(batch, timed_out) : document(batch, batch_links_of(r_));
    std::string etag = batch_etag(batch, body);
    bool known = !known_etags_.empty() && wire::etag_listed(known_etags_, etag);
    if (!known && is_from_cache() && newest_known() >= batch.seq)
      return std::nullopt;  // another node, or another form of the document, has told more
    note_cache_status();
    if (has_conditions(r_) && !conditions_hold(r_, std::span(&etag, 1), batch.updated_at))
      return send_problem(r_, 412,
                          "The batch does not satisfy the preconditions of the request, such as If-Match.");
    add_header(r_, "ETag", etag);
    add_wait_headers(r_, wait_, "Accept, Prefer");
    add_state_headers(r_, batch.state);
    if (std::string next = next_cursor(batch); !text_ && !next.empty())
      add_header(r_, "Link", "<" + next_page(r_, next) + ">; rel=\"next\"");
    return known ? send_empty(r_, 304) : send(r_, 200, text_ ? "text/plain" : "application/json", body);
  }

  /// The highest number that one of the client's tags begins with; 0: it has none.
  int newest_known() const {
    std::int64_t newest = 0;
    for (std::size_t at = known_etags_.find('"'); at != std::string::npos;
         at = known_etags_.find('"', at + 1)) {
      std::string_view rest = std::string_view(known_etags_).substr(at + 1);
      newest = std::max(newest, parse_number(await::cut(rest, '-'), INT32_MAX).value_or(0));
    }
    return static_cast<int>(newest);
  }

  std::string word_of(const core::Batch &batch, bool timed_out) const {
    if (timed_out && wait_.ms > 0)
      return "TIMEOUT";
    std::string word(wire::batch_status(batch));
    for (char &c : word)
      c = c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
    return word;
  }

  bool text_;
  Wait wait_;
  std::string known_etags_;
};

/// DELETE: reads the batch to check its owner, cancels it, and answers with the batch as it is then.
class BatchCancelRequest : public BatchWait {
 public:
  BatchCancelRequest(ngx_http_request_t *r, Runtime &runtime)
      : BatchWait(r, runtime, {}), conditional_(has_conditions(r)) {
    read_newest();
  }

  Answer start(const Uuid &id) { return watch(id, 0); }

 private:
  bool enough(const core::Job &) const override { return true; }

  bool prepare(const core::Job &row) override {
    if (!outcome_) {
      id_ = row.id;
      // the batch may have changed since the conditions were checked
      runtime_.backends().store().cancel(id_, conditional_ ? std::optional(row.seq) : std::nullopt, reply_);
      return false;
    }
    if (*outcome_ == core::Cancelled::changed) {
      finish(send_problem(r_, 412, "The batch has changed since the preconditions were checked; retry."));
      return false;
    }
    if (*outcome_ == core::Cancelled::ended) {
      finish(send_problem(
          r_, 409, "The batch has already ended: it is " + std::string(core::state_name(row.state)) + "."));
      return false;
    }
    if (*outcome_ == core::Cancelled::now)
      runtime_.publish_newest(row);
    return true;
  }

  std::optional<Answer> answer_batch(const core::Batch &batch, bool) override {
    add_header(r_, "Vary", "Accept, Prefer");
    add_header(r_, "Cache-Control", "no-store");
    return send(r_, *outcome_ == core::Cancelled::now ? 202 : 200, "application/json",
                document(batch, batch_links_of(r_)));
  }

  void leave() override {
    reply_.unlink();
    BatchWait::leave();
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
  core::Reply<core::Cancelled> reply_ =
      core::Reply<core::Cancelled>::to<&BatchCancelRequest::on_cancelled>(this);
};

/// ?limit= and ?cursor=: which jobs the document has.
OrAnswer<JobsPage> asked_page(ngx_http_request_t *r, const Uuid &id) {
  constexpr std::string_view kArguments[] = {"limit", "cursor"};
  if (std::string_view name = repeated_argument(r, kArguments); !name.empty())
    return send_problem(r, 400, "The argument \"" + std::string(name) + "\" is given twice.");
  JobsPage page;
  if (auto limit = argument(r, "limit")) {
    auto number = parse_number(*limit, JobsPage::kMost);
    if (number.value_or(0) == 0)
      return send_problem(r, 400, "The argument \"limit\" must be a number between 1 and 200.");
    page.limit = static_cast<int>(*number);
  }
  if (std::string cursor = argument(r, "cursor").value_or(""); !cursor.empty()) {
    auto after = wire::decode_jobs_cursor(cursor, id);
    if (!after)
      return send_problem(r, 400, "The argument \"cursor\" is not one of a page of this batch.");
    page.after = *after;
  }
  return page;
}

Answer get_batch(ngx_http_request_t *r, Runtime &runtime) {
  const BatchConf &conf = batch_conf(r);
  constexpr std::string_view kJsonFirst[] = {"application/json", "text/plain"};
  constexpr std::string_view kTextFirst[] = {"text/plain", "application/json"};
  int chosen = wire::choose(header(r, "accept"), conf.text_first == 1 ? kTextFirst : kJsonFirst);
  if (chosen < 0 && location_conf(r).events != nullptr)
    return send_problem(r, 406, "A batch is available as application/json, text/plain or text/event-stream.");
  if (chosen < 0)
    return send_problem(r, 406, "A batch is available as application/json or text/plain.");
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  auto id = addressed(r, runtime, ngx::evaluate(r, conf.id), core::Kind::batch);
  if (!id)
    return id.answer();
  auto page = asked_page(r, *id);
  if (!page)
    return page.answer();
  if (auto refusal = check_room(r, runtime, wait->ms > 0))
    return *refusal;
  request_info(r).delivery = wait->ms > 0 ? "hold" : "poll";
  bool text = (chosen == 1) != (conf.text_first == 1);
  return ngx::Held::make<BatchRequest>(r, runtime, text, *wait, *page)->start(*id);
}

Answer delete_batch(ngx_http_request_t *r, Runtime &runtime) {
  auto id = addressed(r, runtime, ngx::evaluate(r, batch_conf(r).id), core::Kind::batch);
  if (!id)
    return id.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  return ngx::Held::make<BatchCancelRequest>(r, runtime)->start(*id);
}

/// How the body is written; refuses a type that is none of those.
OrAnswer<BatchBody> read_body_type(ngx_http_request_t *r, const BatchConf &conf,
                                   const std::string &content_type) {
  std::string type = wire::essence(content_type);
  BatchBody body;
  if (type == "multipart/form-data" && conf.jobs.file.len > 0) {
    auto boundary = read_boundary(r, conf.jobs, content_type);
    if (!boundary)
      return boundary.answer();
    body.boundary = std::move(*boundary);
    return body;
  }
  if (type == "application/x-ndjson" || type == "application/json") {
    body.form = type == "application/json" ? wire::BatchParser::Form::object : wire::BatchParser::Form::lines;
    return body;
  }
  std::string types = "application/json, application/x-ndjson";
  if (conf.jobs.file.len > 0)
    types += ", multipart/form-data";
  add_header(r, "Accept-Post", types);
  return send_problem(r, 415, "Unsupported content type " + content_type + "; use " + types + ".");
}

/// Refuses a batch before its body is read if its only queue was full a moment ago. A repetition of what was
/// stored is not refused.
Refusal check_full(ngx_http_request_t *r, Runtime &runtime, const BatchConf &conf, core::NewJob &head) {
  if (head.idempotency || conf.queues->nelts > 1)
    return std::nullopt;
  head.queue = ngx::view(*static_cast<ngx_str_t *>(conf.queues->elts));
  auto full = runtime.full_queues().find(head, runtime.now_ms());
  if (!full)
    return std::nullopt;
  return send_full(r, full->full, full->retry_ms, head.limits.max_pending_per_owner);
}

Answer submit_batch(ngx_http_request_t *r, Runtime &runtime) {
  const BatchConf &conf = batch_conf(r);
  if (auto refusal = Receiver::check_room(r, runtime))
    return *refusal;
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  core::NewJob head;
  if (auto refusal = read_head(r, head))
    return *refusal;
  auto body = read_body_type(r, conf, head.content_type);
  if (!body)
    return body.answer();
  auto webhook = read_webhook(r, conf.jobs.webhook);
  if (!webhook)
    return webhook.answer();
  head.webhook = std::move(*webhook);
  if (wait->ms > 0 && !has_room(location_conf(r), runtime))
    wait->ms = 0;  // too many requests are held: answer 202 instead
  head.id = runtime.backends().new_id(static_cast<unsigned>(conf.jobs.retention)).as_v8();
  apply(conf.jobs, head);
  if (auto refusal = check_full(r, runtime, conf, head))
    return *refusal;
  request_info(r).id = head.id.text();
  request_info(r).delivery = "submit";
  return ngx::Held::make<BatchSubmission>(r, runtime, conf, head, *wait)->start(*body);
}

char *set_batch(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  auto use = parse_batch_options(cf, *location, *static_cast<BatchConf *>(data));
  if (!use)
    return static_cast<char *>(NGX_CONF_ERROR);
  bool added = true;
  if (use->submits)
    added = add_action(cf, &LocationConf::batch_submit, submit_batch) != nullptr;
  if (added && use->reads)
    added = add_action(cf, &LocationConf::batch, get_batch) != nullptr &&
            add_action(cf, &LocationConf::batch_cancel, delete_batch) != nullptr;
  return added ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_batch"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_batch, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<BatchConf, &BatchConf::given>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_batch_module =
    await::http::plain_module(&await::http::context, await::http::commands);
