// ngx_http_await_submit_module: creates jobs of request bodies and forms, and answers when they are
// committed.

#include <optional>

#include "base/text.h"
#include "core/upload.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/conf/submit_options.h"
#include "http/exchange/full_queue.h"
#include "http/exchange/receiver.h"
#include "http/exchange/recording.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/submission.h"
#include "http/exchange/webhook.h"
#include "http/live/sse_stream.h"
#include "http/live/submit_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/form_fields.h"
#include "wire/headers.h"
#include "wire/idempotency.h"
#include "wire/json_check.h"

extern ngx_module_t ngx_http_await_submit_module;

namespace await::http {
namespace {

class SubmitRequest : public Receiver {
 public:
  /// @param streams  whether the answer is the stream of the job's events
  /// @param batch  the batch that the job is added to; empty: none
  SubmitRequest(ngx_http_request_t *r, Runtime &runtime, const SubmitOptions &options, core::NewJob job,
                std::optional<Uuid> batch, Wait wait, bool streams)
      : Receiver(r, runtime),
        options_(options),
        batch_(batch),
        wait_(wait),
        streams_(streams),
        submission_(core::Callback<Result<core::Submitted>>::to<&SubmitRequest::on_submitted>(this)),
        upload_(runtime_.backends().payloads(), job.id,
                core::Callback<Result<Done>>::to<&SubmitRequest::on_upload>(this)) {
    submission_.job = std::move(job);
    if (submission_.job.idempotency)
      fingerprint_.emplace();
    register_held();
  }

  ~SubmitRequest() override {
    if (!batch_ && !submission_.may_be_stored())  // it still waited to be sent when the client left
      upload_.keep(false);
  }
  SubmitRequest(const SubmitRequest &) = delete;
  SubmitRequest &operator=(const SubmitRequest &) = delete;

  /// Reads the body: a form if it has a boundary, else the payload.
  Answer start(std::optional<std::string> boundary) {
    if (boundary)
      form_.emplace(*boundary);
    else if (wire::is_json_type(submission_.job.content_type))
      json_.emplace();
    return receive();
  }

 private:
  using MaybeObjection = std::optional<Objection>;

  MaybeObjection add(std::string_view bytes) override { return form_ ? add_form(bytes) : add_payload(bytes); }
  bool is_busy() const override { return upload_.full(); }
  std::size_t weight() const override { return upload_.held() + fields_.size(); }

  void on_body() override {
    MaybeObjection objection = form_ ? check_form_end() : std::nullopt;
    if (!objection && json_ && !json_->finish())
      objection = Objection{400, std::string("Invalid JSON: ") + json_->error() + "."};
    if (objection)
      refuse(*objection);
    else if (upload_.finish())
      submit();
  }

  MaybeObjection add_payload(std::string_view bytes) {
    if (json_ && !json_->feed(bytes))
      return Objection{400, std::string("Invalid JSON at byte ") + std::to_string(json_->offset()) + ": " +
                                json_->error() + "."};
    if (fingerprint_)
      fingerprint_->body(bytes);
    upload_.append(bytes, is_short_of_memory() ? core::Upload::kInline : core::Upload::kPiece);
    return std::nullopt;
  }

  MaybeObjection add_form(std::string_view bytes) {
    form_->feed(bytes);
    while (true) {
      wire::Multipart::Event event = form_->next();
      MaybeObjection objection;
      switch (event.what) {
        case wire::Multipart::Event::What::more:
          return std::nullopt;
        case wire::Multipart::Event::What::end:
          break;
        case wire::Multipart::Event::What::part:
          objection = open_part(*event.part);
          break;
        case wire::Multipart::Event::What::data:
          objection = in_file_ ? add_payload(event.data) : add_field(event.data);
          break;
        case wire::Multipart::Event::What::part_end:
          objection = close_part();
          break;
        case wire::Multipart::Event::What::error:
          return Objection{event.too_much ? 413 : 400, std::string("Invalid form: ") + event.why + "."};
      }
      if (objection)
        return objection;
    }
  }

  MaybeObjection open_part(const wire::Multipart::Part &part) {
    std::string_view file_field = ngx::view(options_.file);
    if (auto objection = check_part(part))
      return objection;
    in_file_ = part.name == file_field;
    keep_field_ = !in_file_ && is_param(options_, part.name);
    if (!in_file_) {
      if (part.file_name)
        return Objection{400, "The form field \"" + part.name + "\" is a file; only \"" +
                                  std::string(file_field) + "\" may be a file."};
      if (keep_field_ && !fields_.open(part.name))
        return Objection{413, kTooManyFields};
      return std::nullopt;
    }
    if (std::exchange(have_file_, true))
      return Objection{400, "The form has the field \"" + part.name + "\" twice; send one file per job."};
    return set_file(part);
  }

  MaybeObjection set_file(const wire::Multipart::Part &part) {
    if (auto objection = read_file(r_, options_, part, submission_.job))
      return objection;
    if (wire::is_json_type(submission_.job.content_type))
      json_.emplace();
    return std::nullopt;
  }

  MaybeObjection add_field(std::string_view bytes) {
    if (!keep_field_ || fields_.append(bytes))
      return std::nullopt;
    return Objection{413, kTooManyFields};
  }

  MaybeObjection close_part() {
    const char *why = keep_field_ && !in_file_ ? fields_.close() : nullptr;
    if (why == nullptr)
      return std::nullopt;
    return Objection{400, std::string("A form field ") + why + "."};
  }

  MaybeObjection check_form_end() {
    if (!form_->ended())
      return Objection{400, "The form is truncated: the closing boundary is missing."};
    if (!have_file_)
      return Objection{
          400, "The form does not contain the file \"" + std::string(ngx::view(options_.file)) + "\"."};
    if (!fields_.empty())
      submission_.job.params = fields_.json();
    return std::nullopt;
  }

  void cancel_waits() override {
    if (job_wait_ != nullptr)
      job_wait_->abandon();
    submission_.unlink();
    added_.unlink();
    upload_.cancel();
  }

  void on_upload(const Result<Done> &stored) {
    if (!stored)
      answer_error(stored.error());
    else if (upload_.finished())
      submit();
    else
      resume();
  }

  void submit() {
    core::NewJob &job = submission_.job;
    job.payload_size = upload_.size();
    job.payload = upload_.take_inline();
    upload_.keep(true);
    if (fingerprint_)
      job.idempotency->fingerprint =
          batch_ ? fingerprint_->finish(
                       {job.queue, job.content_type, job.file_name, job.params, batch_->text(), job.phase})
                 : fingerprint_->finish({job.queue, job.content_type, job.file_name, job.params});
    if (wait_.ms > 0)
      job_wait_ = Held::make<SubmitWait>(r_, runtime_, job.id, wait_, SubmitWait::fresh);
    if (batch_)
      runtime_.backends().batches().add(*batch_, job, added_);
    else
      runtime_.submissions().add(submission_, runtime_.now_ms());
  }

  void on_added(Result<core::Added> added) {
    using Outcome = core::Added::Outcome;
    if (added && added->outcome == Outcome::added) {
      runtime_.batch_news().on_change(*batch_);
      if (added->job.id == submission_.job.id && !submission_.job.delay_ms)
        runtime_.backends().bus().announce(submission_.job.queue);
      on_submitted(added->job);
      return;
    }
    upload_.keep(!added && core::may_have_succeeded(added.error()));
    if (!added) {
      answer_error(added.error());
      return;
    }
    if (added->outcome == Outcome::full) {
      on_submitted(added->job);
      return;
    }
    if (added->outcome == Outcome::no_batch)
      finish(send_problem(r_, 404, core::absence(core::Kind::batch)));
    else if (added->outcome == Outcome::ended)
      finish(send_problem(r_, 409, "The batch has ended; no job can be added to it."));
    else
      finish(send_problem(r_, 400,
                          submission_.job.phase
                              ? "The batch has no phase " + *submission_.job.phase + "."
                              : std::string("The batch has phases, but the request names none of them.")));
  }

  void on_submitted(Result<core::Submitted> stored) {
    if (!stored) {
      upload_.keep(submission_.may_be_stored());
      answer_error(stored.error());
      return;
    }
    if (stored->full != core::Full::no) {
      upload_.keep(false);
      runtime_.full_queues().note(submission_.job, *stored, runtime_.now_ms());
      finish(send_full(r_, stored->full, stored->retry_ms, submission_.job.limits.max_pending_per_owner));
      return;
    }
    submission_.job.payload.reset();  // free the memory: it is stored, and the request may be held for long
    end_progress();
    if (stored->id != submission_.job.id) {
      answer_replayed(*stored);
      return;
    }
    runtime_.counters().count(Counter::submitted);
    runtime_.deliveries().submitted(age_ms(r_));
    if (submission_.job.owner)
      runtime_.user_hints().publish_soon(*submission_.job.owner);
    created_at_ = stored->created_at;
    request_info(r_).state = "pending";
    if (may_stream()) {
      stream(stored->id, {});
      return;
    }
    if (job_wait_ == nullptr) {
      finish(send_accepted(r_, runtime_, fresh_job(), wait_));
      return;
    }
    start_wait();
  }

  /// An earlier submission had the same Idempotency-Key: answers with its job.
  void answer_replayed(const core::Submitted &first) {
    upload_.keep(false);
    if (first.clash) {
      finish(send_clash(r_));
      return;
    }
    runtime_.counters().count(Counter::replayed);
    request_info(r_).id = first.id.text();
    if (may_stream()) {
      add_header(r_, "Idempotency-Replayed", "true");
      stream(first.id, own_header(r_, "last-event-id"));
      return;
    }
    if (job_wait_ != nullptr)
      job_wait_->abandon();
    job_wait_ = Held::make<SubmitWait>(r_, runtime_, first.id, wait_, SubmitWait::replayed);
    start_wait();
  }

  /// The wait has the request from now on. This object is destroyed with the request's pool.
  void start_wait() {
    Hook<ngx::IsHeld>::unlink();
    job_wait_->stored();
  }

  /// If not, the answer is 202: the job is stored.
  bool may_stream() const {
    return streams_ && !runtime_.lifecycle().draining() && has_room(location_conf(r_), runtime_);
  }

  /// The stream has the request from now on.
  void stream(const Uuid &id, std::string cursor) {
    auto *stream = Held::make<SseStream>(r_, runtime_, std::vector{wire::Channel{id, {}}}, *options_.encoding,
                                         stream_options(r_, std::move(cursor)));
    Hook<ngx::IsHeld>::unlink();
    add_stream_headers(r_, id);
    stream->take_over();
  }

  void answer_error(const Error &error) {
    finish(send_not_stored(r_, error, submission_.job.idempotency.has_value()));
  }

  core::Job fresh_job() const {
    const core::NewJob &from = submission_.job;
    core::Job job;
    job.id = from.id;
    job.queue = from.queue;
    if (batch_)
      job.batch = batch_->text();
    job.phase = from.phase;
    job.correlation_id = from.correlation_id;
    job.params = from.params;
    job.created_at = job.updated_at = created_at_;
    return job;
  }

  const SubmitOptions &options_;
  std::optional<Uuid> batch_;
  core::Reply<core::Added> added_ = core::Reply<core::Added>::to<&SubmitRequest::on_added>(this);
  Wait wait_;
  bool streams_;
  core::Submission submission_;
  core::Upload upload_;
  std::optional<wire::Multipart> form_;
  std::optional<wire::JsonCheck> json_;
  std::optional<wire::Fingerprint> fingerprint_;
  wire::FormFields fields_;
  bool in_file_ = false;
  bool have_file_ = false;
  bool keep_field_ = false;
  std::int64_t created_at_ = 0;
  SubmitWait *job_wait_ =
      nullptr;  // for Prefer: wait; of the same request, answers it once the job is stored
};

/// Sets the queue that the configuration or the client names.
Refusal read_queue(ngx_http_request_t *r, const SubmitOptions &options, core::NewJob &job) {
  job.queue = ngx::evaluate(r, options.queue);
  if (!is_queue_name(job.queue))
    return send_problem(r, 400, "Invalid queue name; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  return std::nullopt;
}

/// The batch that the job is added to, whose phase is set in `job`; empty if the client names none.
OrAnswer<std::optional<Uuid>> read_batch(ngx_http_request_t *r, Runtime &runtime,
                                         const SubmitOptions &options, core::NewJob &job) {
  std::string_view text = options.batch != nullptr ? ngx::evaluate(r, options.batch) : std::string_view();
  if (text.empty())
    return std::optional<Uuid>();
  auto id = addressed(r, runtime, text, core::Kind::batch);
  if (!id)
    return id.answer();
  std::string_view phase = options.phase != nullptr ? ngx::evaluate(r, options.phase) : std::string_view();
  if (!phase.empty() && !is_queue_name(phase))
    return send_problem(r, 400, "Invalid phase; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  if (!phase.empty())
    job.phase = phase;
  return std::optional<Uuid>(*id);
}

/// Whether the client wants the events of the job that it submits.
bool asks_for_stream(ngx_http_request_t *r) {
  constexpr std::string_view kOffers[] = {"application/json", "text/html", "text/event-stream"};
  return wire::choose(own_header(r, "accept"), kOffers) == 2;
}

/// Refuses a stream before anything is stored.
Refusal check_stream(ngx_http_request_t *r, Runtime &runtime) {
  if (runtime.lifecycle().draining())
    return send_restarting(r);
  return http::check_room(r, runtime, true);
}

Answer submit(ngx_http_request_t *r, Runtime &runtime) {
  auto &options =
      *static_cast<SubmitOptions *>(ngx_http_get_module_loc_conf(r, ngx_http_await_submit_module));
  if (auto refusal = Receiver::check_room(r, runtime))
    return *refusal;
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  core::NewJob job;
  if (auto refusal = read_queue(r, options, job))
    return *refusal;
  if (auto refusal = read_head(r, job))
    return *refusal;
  if (const ProxyOptions *proxy = location_conf(r).proxy) {
    if (auto refusal = record_request(r, *proxy, job))
      return *refusal;
  }
  auto boundary = read_boundary(r, options, job.content_type);
  if (!boundary)
    return boundary.answer();
  auto batch = read_batch(r, runtime, options, job);
  if (!batch)
    return batch.answer();
  auto webhook = read_webhook(r, options.webhook);
  if (!webhook)
    return webhook.answer();
  job.webhook = std::move(*webhook);
  bool streams = asks_for_stream(r);
  if (streams) {
    if (auto refusal = check_stream(r, runtime))
      return *refusal;
    wait = Wait();
    if (options.encoding == nullptr)
      options.encoding = make_shape(r, nullptr, false);
  }
  if (wait->ms > 0 && !has_room(location_conf(r), runtime))
    wait->ms = 0;  // too many requests are held: answer 202 instead
  // the jobs of a batch are kept as long as the batch
  job.id =
      runtime.backends().new_id(*batch ? (*batch)->retention() : static_cast<unsigned>(options.retention));
  apply(options, job);
  // a repetition of what was stored is not refused
  if (auto full = job.idempotency ? std::nullopt : runtime.full_queues().find(job, runtime.now_ms()))
    return send_full(r, full->full, full->retry_ms, job.limits.max_pending_per_owner);
  request_info(r).id = job.id.text();
  request_info(r).delivery = "submit";
  return ngx::Held::make<SubmitRequest>(r, runtime, options, std::move(job), *batch, *wait, streams)
      ->start(std::move(*boundary));
}

/// Queues that are named without variables are created when the nginx worker starts.
char *note_lane(ngx_conf_t *cf, const SubmitOptions &options) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (main->lanes == nullptr)
    main->lanes = ngx_array_create(cf->pool, 4, sizeof(LaneName));
  auto *lane = main->lanes == nullptr ? nullptr : static_cast<LaneName *>(ngx_array_push(main->lanes));
  if (lane == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  *lane = {options.queue->value, options.priority};
  return NGX_CONF_OK;
}

char *set_submit(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  LocationConf *location = add_action(cf, &LocationConf::submit, submit);
  if (location == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  auto &options = *static_cast<SubmitOptions *>(conf);
  char *rc = parse_submit_options(cf, *location, options);
  return rc == NGX_CONF_OK && options.queue->lengths == nullptr ? note_lane(cf, options) : rc;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_submit"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_submit, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<SubmitOptions, &SubmitOptions::queue>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_submit_module =
    await::http::plain_module(&await::http::context, await::http::commands);
