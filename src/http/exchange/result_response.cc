#include "http/exchange/result_response.h"

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "ngx/bind.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/headers.h"
#include "wire/problem.h"

namespace await::http {
namespace {

bool is_safe_type(ngx_http_request_t *r, std::string_view type) {
  const ngx_array_t *safe = location_conf(r).safe_types;
  auto *types = static_cast<ngx_str_t *>(safe->elts);
  std::string essence = wire::essence(type);
  for (ngx_uint_t i = 0; i < safe->nelts; ++i) {
    if (ngx::view(types[i]) == essence)
      return true;
  }
  return false;
}

}  // namespace

std::string result_etag(const core::Job &job) {
  return "\"" + job.id.text().substr(24) + "-" + std::to_string(job.seq) + "\"";
}

void ChunkStream::start(const Uuid &job, int attempt, std::int64_t first, std::int64_t last) {
  job_ = job;
  attempt_ = attempt;
  at_ = first;
  last_ = last;
  ngx::bind(r_, this);
  r_->write_event_handler = on_writable;
  read_next();
}

void ChunkStream::read_next() { payloads_.get(job_, attempt_, at_, reply_); }

void ChunkStream::on_chunk(Result<core::Chunk> chunk) {
  std::int64_t skip = chunk ? at_ - chunk->pos : 0;
  if (!chunk || skip < 0 || skip >= static_cast<std::int64_t>(chunk->bytes.size())) {
    ngx_log_error(NGX_LOG_ERR, r_->connection->log, 0, "await: result truncated at byte %L: %s",
                  static_cast<off_t>(at_),
                  chunk ? "the next chunk is missing" : chunk.error().detail.c_str());
    end(Answer::cut());  // the length was announced: cutting the connection tells the client
    return;
  }
  std::string_view bytes = chunk->bytes.view().substr(static_cast<std::size_t>(skip));
  bytes = bytes.substr(0, static_cast<std::size_t>(last_ + 1 - at_));
  out_.push(skip == 0 && bytes.size() == chunk->bytes.size() ? chunk->bytes : Bytes(bytes));
  at_ += static_cast<std::int64_t>(bytes.size());
  write();
}

void ChunkStream::write() {
  ngx_int_t rc = out_.flush();
  if (rc == NGX_ERROR) {
    end(Answer::cut());
    return;
  }
  bool waits = out_.pending() > 0;
  if (timer_.after_write(writer(), waits) != NGX_OK) {
    end(Answer::cut());
    return;
  }
  if (waits)
    return;
  if (at_ > last_)
    end(Answer::sent(ngx_http_send_special(r_, NGX_HTTP_LAST)));
  else if (!reply_.waiting())
    read_next();
}

void ChunkStream::on_writable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<ChunkStream>(r);
  ngx_connection_t *c = r->connection;
  if (self->reply_.waiting())
    return;
  if (c->write->timedout) {
    if (!self->timer_.expired(self->writer()))
      return;
    c->timedout = 1;
    self->end(Answer::timed_out());
    return;
  }
  ngx::guarded(c->log, [self] { self->write(); });
}

void ChunkStream::end(Answer answer) { on_end_(answer); }

void ResultResponse::answer(const core::Job &job, const ResultResponseOptions &options,
                            core::Payloads &payloads) {
  switch (job.state) {
    case core::State::completed:
      answer_completed(job, payloads);
      return;
    case core::State::failed: {
      auto status = static_cast<int>(options.failed_status);
      wire::Problem problem = wire::problem_of_status(424);
      problem.status = status;
      problem.request_id = sent_request_id(r_);
      note_problem(r_, problem);
      // written by the worker: error_page does not replace it
      on_end_(send_problem_body(
          r_, status, wire::encode_failure(job.error, problem, problem_base(r_), ngx::view(r_->uri))));
      return;
    }
    default:
      on_end_(send_problem(
          r_, 410, "There is no result: the job is " + std::string(core::state_name(job.state)) + "."));
  }
}

void ResultResponse::add_result_headers(const core::Job &job) {
  const core::JobResult &result = *job.result;
  add_header(r_, "Cache-Control", "private, no-cache");
  add_header(r_, "X-Content-Type-Options", "nosniff");
  add_header(r_, "Content-Security-Policy", "sandbox; default-src 'none'");
  bool safe = is_safe_type(r_, result.type);
  if (!safe || result.name)
    add_header(r_, "Content-Disposition", wire::disposition(!safe, result.name));
  add_header(r_, "ETag", result_etag(job));
}

void ResultResponse::answer_completed(const core::Job &job, core::Payloads &payloads) {
  const core::JobResult &result = *job.result;
  std::string etag = result_etag(job);
  // neither a POST nor a subrequest has conditions or ranges
  bool read = (r_->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && r_ == r_->main;
  if (read && wire::etag_listed(header(r_, "if-none-match"), etag)) {
    add_result_headers(job);
    on_end_(send_empty(r_, 304));
    return;
  }
  std::string condition = header(r_, "if-range");
  wire::Range range;
  if (read && result.status == 200 && (condition.empty() || condition == etag))
    range = wire::parse_range(header(r_, "range"), result.size);
  std::string size = std::to_string(result.size);
  if (range.kind == wire::Range::Kind::unsatisfiable) {
    add_header(r_, "Content-Range", "bytes */" + size);
    on_end_(
        send_problem(r_, 416, "The requested range is outside the result, which has " + size + " bytes."));
    return;
  }
  add_result_headers(job);
  // nginx adds Accept-Ranges unless a filter changes the length
  if (has_header(r_, "range"))
    add_header(r_, "Accept-Ranges", "bytes");
  else
    r_->allow_ranges = read ? 1 : 0;
  if (range.kind == wire::Range::Kind::whole) {
    send_body(job, payloads, result.status, 0, result.size - 1);
    return;
  }
  add_header(r_, "Content-Range",
             "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" + size);
  send_body(job, payloads, 206, range.first, range.last);
}

void ResultResponse::send_body(const core::Job &job, core::Payloads &payloads, int status, std::int64_t first,
                               std::int64_t last) {
  const core::JobResult &result = *job.result;
  std::string_view type =
      wire::is_media_type(result.type) ? std::string_view(result.type) : "application/octet-stream";
  if (result.inlined) {
    std::string_view body = result.body ? result.body->view() : std::string_view();
    on_end_(send(r_, status, type,
                 body.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first + 1))));
    return;
  }
  r_->headers_out.status = static_cast<ngx_uint_t>(status);
  r_->headers_out.content_type = ngx::copy(r_->pool, type);
  r_->headers_out.content_type_len = type.substr(0, type.find(';')).size();
  r_->headers_out.content_length_n = last - first + 1;
  r_->disable_not_modified = 1;
  ngx_int_t rc = send_head(r_);
  if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
    on_end_(Answer::sent(rc));
    return;
  }
  stream_ = std::make_unique<ChunkStream>(r_, payloads, on_end_);
  stream_->start(job.id, result.attempt, first, last);
}

}  // namespace await::http
