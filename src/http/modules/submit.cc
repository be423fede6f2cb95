// ngx_http_await_submit_module: creates jobs of request bodies and forms, and answers when they are
// committed.

#include <optional>

#include "base/text.h"
#include "core/upload.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/conf/submit_options.h"
#include "http/exchange/file_type.h"
#include "http/exchange/receiver.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
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

constexpr char kTooManyFields[] = "The form fields exceed 64 KB, or there are more than 1000 of them.";

class SubmitRequest : public Receiver {
 public:
  /// @param streams  whether the answer is the stream of the job's events
  SubmitRequest(ngx_http_request_t *r, Runtime &runtime, const SubmitOptions &options, core::NewJob job,
                Wait wait, bool streams)
      : Receiver(r, runtime),
        options_(options),
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
    if (!is_text(part.name))
      return Objection{400, "The name of a form field is not valid UTF-8, or contains a NUL character."};
    if (part.encoded)
      return Objection{
          400, "The form field \"" + part.name + "\" has a Content-Transfer-Encoding; send it unencoded."};
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
    core::NewJob &job = submission_.job;
    std::string_view name = part.file_name ? wire::base_name(*part.file_name) : std::string_view();
    // some clients, Python's requests among them, do not say what they send
    std::string_view type = part.type.empty() ? type_of_file(r_, name) : std::string_view(part.type);
    job.content_type = type.empty() ? "application/octet-stream" : type;
    if (!wire::is_media_type(job.content_type))
      return Objection{400, "The Content-Type of the file is not in the form type/subtype."};
    if (auto objection = check_type(type.empty()))
      return objection;
    if (wire::is_json_type(job.content_type))
      json_.emplace();
    if (name.empty())
      return std::nullopt;
    bool clean = is_text(name) && std::none_of(name.begin(), name.end(),
                                               [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!clean || name.size() > 255)
      return Objection{
          400,
          "The file name is not valid UTF-8, contains a control character, or is longer than 255 bytes."};
    job.file_name = name;
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

  /// 415 if the payload's type is not accepted here.
  /// @param unknown  whether the client has not said it, and the file name does not tell it
  MaybeObjection check_type(bool unknown) {
    if (is_taken(options_, submission_.job.content_type))
      return std::nullopt;
    std::string types;
    auto *items = static_cast<ngx_str_t *>(options_.types->elts);
    for (ngx_uint_t i = 0; i < options_.types->nelts; ++i)
      types += (types.empty() ? "" : ", ") + std::string(ngx::view(items[i]));
    add_header(r_, "Accept-Post", types);
    if (unknown)
      return Objection{415,
                       "The file has no Content-Type, and its name has no extension that is known here; "
                       "send it with a Content-Type of " +
                           types + "."};
    return Objection{415,
                     "Unsupported content type " + submission_.job.content_type + "; use " + types + "."};
  }

  void cancel_waits() override {
    if (job_wait_ != nullptr)
      job_wait_->abandon();
    submission_.unlink();
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
          fingerprint_->finish({job.queue, job.content_type, job.file_name, job.params});
    if (wait_.ms > 0)
      job_wait_ = Held::make<SubmitWait>(r_, runtime_, job.id, wait_, SubmitWait::fresh);
    runtime_.submissions().add(submission_, runtime_.now_ms());
  }

  void on_submitted(Result<core::Submitted> stored) {
    if (!stored) {
      answer_error(stored.error());
      return;
    }
    submission_.job.payload.reset();  // free the memory: it is stored, and the request may be held for long
    end_progress();
    if (stored->id != submission_.job.id) {
      answer_replayed(*stored);
      return;
    }
    runtime_.counters().count(Counter::submitted);
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
      finish(send_problem(r_, 422, "This Idempotency-Key was already used with a different request."));
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
    if (error.code != Code::conflict || !submission_.job.idempotency) {
      finish(send_error(r_, error));
      return;
    }
    add_header(r_, "Retry-After", "1");
    finish(send_problem(r_, 409, "A request with this Idempotency-Key is in progress; retry later."));
  }

  core::Job fresh_job() const {
    const core::NewJob &from = submission_.job;
    core::Job job;
    job.id = from.id;
    job.queue = from.queue;
    job.correlation_id = from.correlation_id;
    job.params = from.params;
    job.created_at = job.updated_at = created_at_;
    return job;
  }

  const SubmitOptions &options_;
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

/// W3C Trace Context §3.2: version, trace id, parent id, flags. Anything else is ignored.
bool is_traceparent(std::string_view text) {
  if (text.size() != 55)
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 2 || i == 35 || i == 52;
    bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !hex)
      return false;
  }
  return true;
}

/// Reads the Idempotency-Key.
Refusal read_key(ngx_http_request_t *r, core::NewJob &job) {
  const LocationConf &location = location_conf(r);
  if (location.idempotency == kKeysOff)
    return std::nullopt;
  if (!has_header(r, "idempotency-key")) {
    if (location.idempotency == kKeysRequired)
      return send_problem(r, 400, "An Idempotency-Key header is required.");
    return std::nullopt;
  }
  auto key = wire::parse_idempotency_key(header(r, "idempotency-key"));
  if (!key)
    return send_problem(
        r, 400,
        "The Idempotency-Key must be a quoted string of 1 to 255 printable ASCII characters, or a token.");
  job.idempotency =
      core::IdempotencyKey{std::move(*key), {}, static_cast<std::int64_t>(location.keep_keys) * 1000};
  return std::nullopt;
}

/// Sets what the header of the request contains.
Refusal read_head(ngx_http_request_t *r, const SubmitOptions &options, core::NewJob &job) {
  job.queue = ngx::evaluate(r, options.queue);
  if (!is_queue_name(job.queue))
    return send_problem(r, 400, "Invalid queue name; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  std::string encoding = header(r, "content-encoding");
  if (!encoding.empty() && !iequals(trim(encoding), "identity")) {
    add_header(r, "Accept-Encoding", "identity");
    return send_problem(r, 415, "Unsupported Content-Encoding " + encoding + "; send the body unencoded.");
  }
  std::string type = header(r, "content-type");
  job.content_type = type.empty() ? "application/octet-stream" : type;
  if (!wire::is_media_type(job.content_type))
    return send_problem(r, 400, "The Content-Type is not in the form type/subtype.");
  std::string correlation = header(r, "x-correlation-id");
  bool clean = is_text(correlation) && correlation.size() <= 255;
  if (!clean)
    return send_problem(r, 400, "The X-Correlation-Id is not valid UTF-8, or is longer than 255 bytes.");
  job.correlation_id = correlation.empty() ? std::string(request_id_of(r)) : correlation;
  if (std::string trace = header(r, "traceparent"); is_traceparent(trace))
    job.trace = trace;
  if (auto owner = owner_of(r))
    job.owner = *owner;
  return read_key(r, job);
}

/// The boundary if the body is a form; refuses a form without one, and a type that is not accepted here.
OrAnswer<std::optional<std::string>> read_type(ngx_http_request_t *r, const SubmitOptions &options,
                                               const core::NewJob &job) {
  if (options.file.len == 0 || wire::essence(job.content_type) != "multipart/form-data") {
    if (!is_taken(options, job.content_type))
      return send_problem(r, 415, "Unsupported content type " + job.content_type + ".");
    return std::optional<std::string>();
  }
  auto boundary = wire::parameter(job.content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)
    return send_problem(r, 400, "The multipart Content-Type has no boundary of 1 to 70 bytes.");
  return boundary;
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
  if (auto refusal = read_head(r, options, job))
    return *refusal;
  auto boundary = read_type(r, options, job);
  if (!boundary)
    return boundary.answer();
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
  job.id = runtime.backends().new_id(static_cast<unsigned>(options.retention));
  apply(options, job);
  request_info(r).id = job.id.text();
  request_info(r).delivery = "submit";
  return ngx::Held::make<SubmitRequest>(r, runtime, options, std::move(job), *wait, streams)
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
