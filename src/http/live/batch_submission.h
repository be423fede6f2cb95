#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/batch_intake.h"
#include "core/upload.h"
#include "http/conf/batch_options.h"
#include "http/exchange/receiver.h"
#include "http/live/batch_submit_wait.h"
#include "wire/batch_parser.h"
#include "wire/form_fields.h"
#include "wire/idempotency.h"
#include "wire/json_check.h"
#include "wire/multipart.h"

namespace await::http {

/// How the body of a batch is written.
struct BatchBody {
  wire::BatchParser::Form form = wire::BatchParser::Form::object;
  std::optional<std::string> boundary;  ///< it is a form, each of whose files is a job
};

/// Receives a batch: takes it apart while it arrives, stages its jobs in portions, and submits them all at
/// once. Whatever is refused, or is not received whole, leaves nothing.
class BatchSubmission : public Receiver {
 public:
  /// @param head  what the header of the request says; its id is the batch's
  BatchSubmission(ngx_http_request_t *r, Runtime &runtime, const BatchConf &conf, const core::NewJob &head,
                  Wait wait);

  Answer start(const BatchBody &body);

 private:
  using MaybeObjection = std::optional<Objection>;

  MaybeObjection add(std::string_view bytes) override;
  bool is_busy() const override;
  std::size_t weight() const override;
  void on_body() override;
  void cancel_waits() override;

  MaybeObjection take_more();
  MaybeObjection take_jobs();
  MaybeObjection add_element(wire::BatchJob element);
  MaybeObjection place(core::NewJob &job, const std::optional<std::string> &queue,
                       const std::optional<std::string> &phase, const std::string &where);
  MaybeObjection count_for(const std::string &queue, const std::string &where);
  MaybeObjection take_form();
  MaybeObjection take(const wire::Multipart::Event &event);
  MaybeObjection open_part(const wire::Multipart::Part &part);
  MaybeObjection open_file(const wire::Multipart::Part &part);
  MaybeObjection add_file(std::string_view bytes);
  MaybeObjection close_part();
  MaybeObjection close_file();
  void file_stored();
  MaybeObjection check_end();
  void note_job(const core::NewJob &job);
  std::string where() const;

  void on_upload(const Result<Done> &stored);
  void on_staged(const Result<Done> &stored);
  void go_on();
  void submit();
  void on_submitted(Result<core::Submitted> stored);
  void answer_replayed(const core::Submitted &first);
  void answer_error(const Error &error);
  void start_wait();

  const BatchConf &conf_;
  core::NewBatch batch_;
  Wait wait_;
  core::BatchIntake intake_;
  std::optional<wire::BatchParser> parser_;
  std::string rest_;  // of the body, for the parser
  std::optional<wire::Fingerprint> fingerprint_;
  std::map<std::string, int> counts_;   // jobs by queue
  std::vector<std::string> announced_;  // queues with a job that can be claimed now
  BatchSubmitWait *answer_ = nullptr;   // of the same request, answers it once the batch is stored

  // of a form
  std::optional<wire::Multipart> form_;
  wire::FormFields fields_;
  std::optional<std::string> params_;  // of all jobs; set with the first file
  std::size_t copied_ = 0;             // bytes of them in all jobs
  bool in_file_ = false;
  bool keep_field_ = false;
  bool body_ended_ = false;
  core::NewJob file_;  // the job of the file that is being received
  std::unique_ptr<core::Upload> upload_;
  bool storing_ = false;  // the file has ended, the last of it is being stored
  MaybeObjection late_;   // found after a wait, for the next bytes or the end
  std::optional<wire::JsonCheck> json_;
  std::optional<wire::Fingerprint> file_print_;
};

}  // namespace await::http
