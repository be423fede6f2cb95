#pragma once

#include <memory>

#include "core/ports.h"
#include "http/exchange/respond.h"
#include "ngx/filter_output.h"
#include "ngx/held.h"
#include "ngx/send_timer.h"

namespace await::http {

/// The entity tag of a completed job's result. It is strong because a result never changes.
std::string result_etag(const core::Job &job);

/// The parameters of await_result.
struct ResultResponseOptions {
  ngx_uint_t failed_status;   ///< failed=, 424
  ngx_uint_t pending_status;  ///< pending=, 202
};

/// Sends the body of a large result one chunk at a time. One chunk is read ahead of what nginx has sent, so a
/// slow client costs the memory of one chunk.
/// Kept alive by: the request it belongs to, as a member.
class ChunkStream {
 public:
  /// @param on_end  called once, with the answer that the request is to be finalized with
  ChunkStream(ngx_http_request_t *r, core::Payloads &payloads, core::Callback<Answer> on_end)
      : r_(r), payloads_(payloads), out_(r), on_end_(on_end) {}

  /// Sends bytes first … last of the result. The header has been sent.
  void start(const Uuid &job, int attempt, std::int64_t first, std::int64_t last);

  /// Cancels the read.
  void leave() { reply_.unlink(); }

 private:
  void read_next();
  void on_chunk(Result<core::Chunk> chunk);
  void write();
  void end(Answer answer);
  ngx::SendTimer::Writer writer() const {
    return {r_->connection, r_,
            *static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r_, ngx_http_core_module))};
  }
  static void on_writable(ngx_http_request_t *r);

  ngx_http_request_t *r_;
  core::Payloads &payloads_;
  ngx::FilterOutput out_;
  ngx::SendTimer timer_;
  core::Callback<Answer> on_end_;
  core::Reply<core::Chunk> reply_ = core::Reply<core::Chunk>::to<&ChunkStream::on_chunk>(this);
  Uuid job_;
  int attempt_ = 0;
  std::int64_t at_ = 0;
  std::int64_t last_ = -1;
};

/// The response for an ended job: the status, type and body that the worker has set, or a problem. Handles
/// ranges, conditions and HEAD (RFC 9110).
class ResultResponse {
 public:
  /// @param on_end  as for ChunkStream
  ResultResponse(ngx_http_request_t *r, core::Callback<Answer> on_end) : r_(r), on_end_(on_end) {}

  /// Cancels the read.
  void leave() {
    if (stream_)
      stream_->leave();
  }
  /// @param job  read with ResultDetail::body
  /// @param payloads  where results are read that are too large to come with the job
  void answer(const core::Job &job, const ResultResponseOptions &options, core::Payloads &payloads);

 private:
  void answer_completed(const core::Job &job, core::Payloads &payloads);
  void add_result_headers(const core::Job &job);
  void send_body(const core::Job &job, core::Payloads &payloads, int status, std::int64_t first,
                 std::int64_t last);

  ngx_http_request_t *r_;
  core::Callback<Answer> on_end_;
  std::unique_ptr<ChunkStream> stream_;
};

}  // namespace await::http
