#include "http/live/batch_submission.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/text.h"
#include "http/exchange/full_queue.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/submission.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/document.h"

namespace await::http {
namespace {

/// Of the params of all jobs together, in bytes: a form has its fields once, but each file gets a copy.
constexpr std::size_t kMaxCopied = std::size_t{8} << 20;

/// The queues in one word: keys of different directives are different keys.
std::string scope_of(const BatchConf &conf) {
  std::string out = ".batch";
  auto *queues = static_cast<ngx_str_t *>(conf.queues->elts);
  for (ngx_uint_t i = 0; i < conf.queues->nelts; ++i)
    out += (i == 0 ? ":" : ",") + std::string(ngx::view(queues[i]));
  return out;
}

std::string names_of(const ngx_array_t *list) {
  std::string out;
  auto *names = static_cast<ngx_str_t *>(list->elts);
  for (ngx_uint_t i = 0; i < list->nelts; ++i)
    out += (i == 0 ? "" : ", ") + std::string(ngx::view(names[i]));
  return out;
}

std::string number(const std::optional<std::int64_t> &value) { return value ? std::to_string(*value) : "-"; }

}  // namespace

BatchSubmission::BatchSubmission(ngx_http_request_t *r, Runtime &runtime, const BatchConf &conf,
                                 const core::NewJob &head, Wait wait)
    : Receiver(r, runtime),
      conf_(conf),
      wait_(wait),
      intake_(runtime_.backends().batches(), runtime_.backends().payloads(), runtime_.backends(), head.id,
              core::Callback<Result<Done>>::to<&BatchSubmission::on_staged>(this),
              core::Callback<Result<core::Submitted>>::to<&BatchSubmission::on_submitted>(this)) {
  batch_.id = head.id;
  batch_.owner = head.owner;
  batch_.correlation_id = head.correlation_id;
  batch_.trace = head.trace;
  batch_.idempotency = head.idempotency;
  batch_.webhook = head.webhook;
  batch_.scope = scope_of(conf);
  if (conf.phases != nullptr) {
    auto *phases = static_cast<ngx_str_t *>(conf.phases->elts);
    for (ngx_uint_t i = 0; i < conf.phases->nelts; ++i)
      batch_.phases.emplace_back(ngx::view(phases[i]));
  }
  if (conf.on_ready.len > 0)
    batch_.on_ready = ngx::view(conf.on_ready);
  if (conf.jobs.deadline_ms > 0)
    batch_.deadline_ms = conf.jobs.deadline_ms;
  batch_.limits = head.limits;
  if (batch_.idempotency)
    fingerprint_.emplace();
  register_held();
}

Answer BatchSubmission::start(const BatchBody &body) {
  if (body.boundary)
    form_.emplace(*body.boundary);
  else
    parser_.emplace(body.form, conf_.allowed);
  return receive();
}

BatchSubmission::MaybeObjection BatchSubmission::add(std::string_view bytes) {
  if (late_)
    return std::exchange(late_, std::nullopt);
  if (form_)
    form_->feed(bytes);
  else
    rest_ += bytes;
  return take_more();
}

/// Takes what has come of the body, until a portion or a file has to be stored first.
BatchSubmission::MaybeObjection BatchSubmission::take_more() { return form_ ? take_form() : take_jobs(); }

bool BatchSubmission::is_busy() const {
  return intake_.full() || storing_ || (upload_ != nullptr && upload_->full());
}

std::size_t BatchSubmission::weight() const {
  return rest_.capacity() + (parser_ ? parser_->held() : 0) + intake_.held() +
         (upload_ != nullptr ? upload_->held() : 0) + fields_.size();
}

/// Which job a fault is about: the place of the next one.
std::string BatchSubmission::where() const {
  std::string out = "Job " + std::to_string(intake_.jobs() + 1);
  return parser_ ? "Invalid batch. " + out + ", at byte " + std::to_string(parser_->job_at()) + ": "
                 : out + ": ";
}

BatchSubmission::MaybeObjection BatchSubmission::take_jobs() {
  std::string_view bytes = rest_;
  while (!bytes.empty() && !intake_.full()) {
    switch (parser_->next(bytes)) {
      case wire::BatchParser::Step::more:
        break;
      case wire::BatchParser::Step::job:
        if (auto objection = add_element(parser_->take_job()))
          return objection;
        break;
      case wire::BatchParser::Step::fault: {
        const auto &fault = parser_->fault();
        return Objection{fault.too_much ? 413 : 400, "Invalid batch. " + fault.text()};
      }
    }
  }
  rest_ = std::string(bytes);
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::add_element(wire::BatchJob element) {
  core::NewJob job;
  if (auto objection = place(job, element.queue, element.phase, where()))
    return objection;
  if (auto objection = check_type(r_, conf_.jobs, element.content_type, false)) {
    objection->detail = where() + objection->detail;
    return objection;
  }
  apply(conf_.jobs, job);
  job.deadline_ms.reset();  // the directive's is the batch's
  job.content_type = std::move(element.content_type);
  job.file_name = std::move(element.file_name);
  job.params = std::move(element.params);
  job.priority = element.priority.value_or(job.priority);
  for (auto [from, to] :
       {std::pair(&element.delay_ms, &job.delay_ms), std::pair(&element.deadline_ms, &job.deadline_ms),
        std::pair(&element.lease_ms, &job.lease_ms)}) {
    if (*from)
      *to = *from;
  }
  if (element.max_attempts)
    job.max_attempts = element.max_attempts;
  job.payload_size = static_cast<std::int64_t>(element.payload.size());
  job.payload = std::move(element.payload);
  if (fingerprint_) {
    file_print_.emplace();
    file_print_->body(*job.payload);
  }
  note_job(job);
  intake_.add(std::move(job));
  return std::nullopt;
}

/// 413 if more jobs are for a queue than may wait there: the batch would never be stored.
BatchSubmission::MaybeObjection BatchSubmission::count_for(const std::string &queue,
                                                           const std::string &where) {
  constexpr int kAny = std::numeric_limits<int>::max();
  int most = std::min(batch_.limits.max_pending.value_or(kAny),
                      batch_.owner ? batch_.limits.max_pending_per_owner.value_or(kAny) : kAny);
  if (most == kAny || ++counts_[queue] <= most)
    return std::nullopt;
  return Objection{413, where + "no more than " + std::to_string(most) + " jobs may wait in the queue " +
                            queue + ", so a batch has no more for it."};
}

/// Sets the queue and the phase of a job: what the client says, or the only queue, and the first phase.
BatchSubmission::MaybeObjection BatchSubmission::place(core::NewJob &job,
                                                       const std::optional<std::string> &queue,
                                                       const std::optional<std::string> &phase,
                                                       const std::string &where) {
  if (!queue && conf_.queues->nelts > 1)
    return Objection{400, where + "\"queue\" is missing; it must be one of " + names_of(conf_.queues) + "."};
  if (queue && !is_listed(conf_.queues, *queue))
    return Objection{
        400, where + "the queue " + *queue + " cannot be used here; use " + names_of(conf_.queues) + "."};
  if (phase && conf_.phases == nullptr)
    return Objection{400, where + "\"phase\" cannot be used here, the batch has no phases."};
  if (phase && !is_listed(conf_.phases, *phase))
    return Objection{
        400, where + "the batch has no phase " + *phase + "; its phases are " + names_of(conf_.phases) + "."};
  job.queue = queue ? *queue : std::string(ngx::view(static_cast<ngx_str_t *>(conf_.queues->elts)[0]));
  if (phase)
    job.phase = *phase;
  else if (!batch_.phases.empty())
    job.phase = batch_.phases.front();
  return count_for(job.queue, where);
}

/// Of each job, for the answer: which queues have work, and what tells this batch from another.
void BatchSubmission::note_job(const core::NewJob &job) {
  if (!job.delay_ms && std::find(announced_.begin(), announced_.end(), job.queue) == announced_.end())
    announced_.push_back(job.queue);
  if (!fingerprint_)
    return;
  std::string numbers =
      std::to_string(job.priority) + "," + number(job.delay_ms) + "," + number(job.deadline_ms) + "," +
      number(job.lease_ms) + "," +
      number(job.max_attempts ? std::optional<std::int64_t>(*job.max_attempts) : std::nullopt);
  fingerprint_->body(
      file_print_->finish({job.queue, job.phase, job.content_type, job.file_name, job.params, numbers}));
  file_print_.reset();
}

/// Takes what the form has, until it has no more or a file has to be stored first.
BatchSubmission::MaybeObjection BatchSubmission::take_form() {
  while (!storing_ && !intake_.full()) {
    wire::Multipart::Event event = form_->next();
    if (event.what == wire::Multipart::Event::What::more)
      break;
    if (auto objection = take(event))
      return objection;
  }
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::take(const wire::Multipart::Event &event) {
  switch (event.what) {
    case wire::Multipart::Event::What::more:
    case wire::Multipart::Event::What::end:
      break;
    case wire::Multipart::Event::What::part:
      return open_part(*event.part);
    case wire::Multipart::Event::What::data:
      if (in_file_)
        return add_file(event.data);
      if (keep_field_ && !fields_.append(event.data))
        return Objection{413, kTooManyFields};
      break;
    case wire::Multipart::Event::What::part_end:
      return close_part();
    case wire::Multipart::Event::What::error:
      return Objection{event.too_much ? 413 : 400, std::string("Invalid form: ") + event.why + "."};
  }
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::open_part(const wire::Multipart::Part &part) {
  if (auto objection = check_part(part))
    return objection;
  in_file_ = part.name == ngx::view(conf_.jobs.file);
  if (in_file_)
    return open_file(part);
  keep_field_ = is_param(conf_.jobs, part.name);
  if (part.file_name)
    return Objection{400, "The form field \"" + part.name + "\" is a file; only \"" +
                              std::string(ngx::view(conf_.jobs.file)) + "\" may be files."};
  if (keep_field_ && intake_.jobs() > 0)
    return Objection{
        400, "The form field \"" + part.name +
                 "\" follows a file; send the fields, which are params of all jobs, before the files."};
  if (keep_field_ && !fields_.open(part.name))
    return Objection{413, kTooManyFields};
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::open_file(const wire::Multipart::Part &part) {
  file_ = core::NewJob();
  MaybeObjection objection = place(file_, std::nullopt, std::nullopt, where());
  if (!objection)
    objection = read_file(r_, conf_.jobs, part, file_);
  if (objection) {
    if (!objection->detail.starts_with("Job "))
      objection->detail = where() + objection->detail;
    return objection;
  }
  if (!params_ && !fields_.empty())
    params_ = fields_.json();
  copied_ += params_ ? params_->size() : 0;
  if (copied_ > kMaxCopied)
    return Objection{413,
                     where() +
                         "the form fields, which are params of each file, exceed 8 MB in all; send fewer "
                         "files, or smaller fields."};
  apply(conf_.jobs, file_);
  file_.deadline_ms.reset();
  file_.params = params_;
  file_.id = intake_.next_id();
  json_.reset();
  if (wire::is_json_type(file_.content_type))
    json_.emplace();
  if (fingerprint_)
    file_print_.emplace();
  upload_ =
      std::make_unique<core::Upload>(runtime_.backends().payloads(), file_.id,
                                     core::Callback<Result<Done>>::to<&BatchSubmission::on_upload>(this));
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::add_file(std::string_view bytes) {
  if (json_ && !json_->feed(bytes))
    return Objection{400, where() + "invalid JSON at byte " + std::to_string(json_->offset()) +
                              " of the file: " + json_->error() + "."};
  if (file_print_)
    file_print_->body(bytes);
  upload_->append(bytes, is_short_of_memory() ? core::Upload::kInline : core::Upload::kPiece);
  return std::nullopt;
}

BatchSubmission::MaybeObjection BatchSubmission::close_part() {
  if (in_file_)
    return close_file();
  const char *why = keep_field_ ? fields_.close() : nullptr;
  return why == nullptr ? std::nullopt
                        : MaybeObjection(Objection{400, std::string("A form field ") + why + "."});
}

BatchSubmission::MaybeObjection BatchSubmission::close_file() {
  if (json_ && !json_->finish())
    return Objection{400, where() + "invalid JSON: " + json_->error() + "."};
  in_file_ = false;
  if (upload_->finish())
    file_stored();
  else
    storing_ = true;
  return std::nullopt;
}

/// The file is in memory or in chunks: its job can be staged.
void BatchSubmission::file_stored() {
  storing_ = false;
  file_.payload_size = upload_->size();
  file_.payload = upload_->take_inline();
  upload_->keep(true);  // the intake has its chunks from now on
  upload_.reset();
  note_job(file_);
  intake_.add(std::exchange(file_, core::NewJob()));
}

BatchSubmission::MaybeObjection BatchSubmission::check_end() {
  if (late_)
    return std::exchange(late_, std::nullopt);
  if (parser_) {
    if (parser_->finish())
      return std::nullopt;
    return Objection{400, "Invalid batch. " + parser_->fault().text()};
  }
  if (!form_->ended())
    return Objection{400, "The form is truncated: the closing boundary is missing."};
  if (intake_.jobs() == 0)
    return Objection{400,
                     "The form does not contain a file \"" + std::string(ngx::view(conf_.jobs.file)) + "\"."};
  return std::nullopt;
}

void BatchSubmission::on_body() {
  body_ended_ = true;
  go_on();
}

void BatchSubmission::on_upload(const Result<Done> &stored) {
  if (!stored) {
    answer_error(stored.error());
    return;
  }
  if (storing_) {
    if (!upload_->finished())
      return;
    file_stored();
  }
  go_on();
}

void BatchSubmission::on_staged(const Result<Done> &stored) {
  if (!stored)
    answer_error(stored.error());
  else
    go_on();
}

/// There is room again: takes more of the body or, after its end, submits the batch. May destroy this.
void BatchSubmission::go_on() {
  if (!late_)
    late_ = take_more();
  if (!late_ && is_busy())
    return;
  if (!body_ended_) {
    late_ ? object() : resume();
    return;
  }
  if (auto objection = check_end())
    refuse(*objection);
  else if (intake_.finish())
    submit();
}

void BatchSubmission::cancel_waits() {
  if (answer_ != nullptr)
    answer_->abandon();
  intake_.cancel();
  if (upload_ != nullptr)
    upload_->cancel();
}

void BatchSubmission::submit() {
  batch_.jobs = intake_.jobs();
  if (fingerprint_)
    batch_.idempotency->fingerprint = fingerprint_->finish({});
  if (wait_.ms > 0)
    answer_ = Held::make<BatchSubmitWait>(r_, runtime_, batch_.id, wait_, BatchSubmitWait::fresh);
  intake_.submit(batch_);
}

void BatchSubmission::on_submitted(Result<core::Submitted> stored) {
  if (!stored) {
    answer_error(stored.error());
    return;
  }
  if (stored->full != core::Full::no) {
    finish(send_full(r_, stored->full, stored->retry_ms, batch_.limits.max_pending_per_owner));
    return;
  }
  end_progress();
  if (stored->id != batch_.id) {
    answer_replayed(*stored);
    return;
  }
  runtime_.counters().count(Counter::submitted, batch_.jobs);
  for (const std::string &queue : announced_)
    runtime_.backends().bus().announce(queue);
  if (batch_.owner)
    runtime_.user_hints().publish_soon(*batch_.owner);
  request_info(r_).state = "pending";
  if (answer_ == nullptr)
    answer_ = Held::make<BatchSubmitWait>(r_, runtime_, batch_.id, wait_, BatchSubmitWait::fresh);
  start_wait();
}

/// An earlier request had the same Idempotency-Key: answers with its batch.
void BatchSubmission::answer_replayed(const core::Submitted &first) {
  if (first.clash) {
    finish(send_clash(r_));
    return;
  }
  runtime_.counters().count(Counter::replayed);
  request_info(r_).id = first.id.text();
  if (answer_ != nullptr)
    answer_->abandon();
  answer_ = Held::make<BatchSubmitWait>(r_, runtime_, first.id, wait_, BatchSubmitWait::replayed);
  start_wait();
}

/// The wait has the request from now on. This object is destroyed with the request's pool.
void BatchSubmission::start_wait() {
  Hook<ngx::IsHeld>::unlink();
  answer_->stored();
}

void BatchSubmission::answer_error(const Error &error) {
  finish(send_not_stored(r_, error, batch_.idempotency.has_value()));
}

}  // namespace await::http
