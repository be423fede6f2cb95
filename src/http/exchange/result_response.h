#pragma once

#include <memory>

#include "core/ports.h"
#include "http/exchange/respond.h"
#include "http/runtime/process.h"
#include "ngx/filter_output.h"
#include "ngx/held.h"
#include "ngx/send_timer.h"

namespace await::http {

/// The validator of a completed job's result: strong, for it never changes.
std::string result_etag(const core::Job &job);

/// How a job's ending becomes an answer: await_result's options.
struct ResultResponseOptions {
  ngx_uint_t failed_status;   ///< failed=, 424
  ngx_uint_t pending_status;  ///< pending=, 202
};

/// The body of a large result on its way to the client, a piece at a time: one read ahead of what
/// nginx has sent, so a slow client costs one piece of memory.
/// Kept alive by: the request it belongs to, as a member.
class PieceStream {
 public:
  /// @param finished  called once, with what finalizes the request
  PieceStream(ngx_http_request_t *r, core::Callback<Answer> finished) : r_(r), out_(r), finished_(finished) {}

  /// Sends bytes first … last of the result. The header has been sent.
  void start(const Uuid &job, int attempt, std::int64_t first, std::int64_t last);

  /// Reads no more.
  void leave() { reply_.unlink(); }

 private:
  void read_next();
  void got(Result<core::Piece> piece);
  void write();
  void end(Answer answer);
  ngx::SendTimer::Writer writer() const {
    return {r_->connection, r_,
            *static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r_, ngx_http_core_module))};
  }
  static void on_writable(ngx_http_request_t *r);

  ngx_http_request_t *r_;
  ngx::FilterOutput out_;
  ngx::SendTimer timer_;
  core::Callback<Answer> finished_;
  core::Reply<core::Piece> reply_ = core::Reply<core::Piece>::to<&PieceStream::got>(this);
  Uuid job_;
  int attempt_ = 0;
  std::int64_t at_ = 0;
  std::int64_t last_ = -1;
};

/// Answers with what has become of an ended job: the worker's status, type and body, or a problem.
/// Ranges, conditions and HEAD as RFC 9110 has them.
class ResultResponse {
 public:
  ResultResponse(ngx_http_request_t *r, core::Callback<Answer> finished) : r_(r), finished_(finished) {}

  /// Reads no more.
  void leave() {
    if (stream_)
      stream_->leave();
  }
  /// @param job  read with Want::body
  void answer(const core::Job &job, const ResultResponseOptions &options);

 private:
  void answer_completed(const core::Job &job);
  void add_result_headers(const core::Job &job);
  void send_body(const core::Job &job, int status, std::int64_t first, std::int64_t last);

  ngx_http_request_t *r_;
  core::Callback<Answer> finished_;
  std::unique_ptr<PieceStream> stream_;
};

}  // namespace await::http
