#include "worker/http_task.h"

#include <algorithm>

#include "base/text.h"
#include "wire/headers.h"
#include "wire/json_writer.h"
#include "worker/backend_problem.h"

namespace await::worker {
namespace {

constexpr std::size_t kMaxProblem = BackendAnswer::kMaxBody;
constexpr std::int64_t kMaxRetryMs = std::int64_t{24} * 3600 * 1000;

/// Whether another attempt may have another answer.
bool is_passing(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }

/// A part (206) is not the whole, and no range was asked for.
bool is_result(int status) { return status >= 200 && status < 300 && status != 206; }

/// There was no connection, so nothing was sent.
bool is_away(curl::Failure failure) {
  return failure == curl::Failure::resolve || failure == curl::Failure::connect ||
         failure == curl::Failure::tls;
}

std::string value_of(const curl::Head &head, std::string_view name) {
  const std::string *value = head.find(name);
  return value != nullptr ? *value : "";
}

}  // namespace

HttpTask::HttpTask(const Context &context, Backend &backend, ClaimedJob job, std::function<void()> done)
    : Task(context, std::move(job), std::move(done)), backend_(backend) {}

void HttpTask::start() {
  auto replay = wire::parse_replay(job_.params);
  if (!replay) {
    end_as(Outcome::final, "The request cannot be sent",
           "The params of the job do not describe one: " + replay.error().detail + ".");
    return;
  }
  replay_ = std::move(*replay);
  url_ = backend_.find(replay_.origin);
  if (url_ == nullptr) {
    log_.error("job " + name() + ": its back end " + replay_.origin +
               " is not one that --http or --http-allow names, so it fails");
    end_as(Outcome::final, "The request cannot be sent",
           "The worker does not serve the back end of this job.");
    return;
  }
  if (std::int64_t pause = backend_.pause(url_->origin); pause > 0) {  // jobs of others can be done meanwhile
    give_back(pause);
    return;
  }
  log_.info("job " + name() + ": started (queue " + job_.queue + "): " + address());
  auto exchange = backend_.client().start(request(), *this);
  if (exchange)
    exchange_ = std::move(*exchange);
  else
    end_as(Outcome::final, "The request cannot be sent", exchange.error().detail + ".");
}

curl::Request HttpTask::request() const {
  const Backend::Options &options = backend_.options();
  curl::Request request;
  request.method = replay_.method;
  request.url = url_->origin + url_->path + replay_.uri;
  if (url_->path.empty() && replay_.uri.empty())
    request.url += "/";
  request.headers = replay_.headers;
  auto add = [&](const char *header, const std::optional<std::string> &value) {
    if (value && !value->empty())
      request.headers.emplace_back(header, *value);
  };
  if (job_.payload_size > 0 || replay_.method != "GET")
    add("Content-Type", job_.content_type);
  add("Accept-Encoding", "identity");  // the result is stored as it comes, without a coding
  add("Idempotency-Key", "\"" + job_.id.text() + "\"");
  add("traceparent", job_.trace);
  add("X-Correlation-Id", job_.correlation_id);
  add("X-Request-Id", job_.correlation_id);
  add("X-Await-Job", job_.id.text());
  add("X-Await-Queue", job_.queue);
  add("X-Await-Attempt", std::to_string(job_.attempt));
  if (job_.payload)
    request.body = *job_.payload;
  else
    request.streamed = job_.payload_size;
  request.connect_ms = options.connect_ms;
  request.whole_ms = options.whole_ms;
  request.max_body = options.max_result;
  return request;
}

std::size_t HttpTask::on_room(std::int64_t offset, std::span<char> room) {
  auto end = piece_at_ + static_cast<std::int64_t>(piece_.size());
  if (offset >= piece_at_ && offset < end) {
    std::size_t n = piece_.copy(room.data(), room.size(), static_cast<std::size_t>(offset - piece_at_));
    return n;
  }
  piece_.clear();
  wanted_at_ = piece_at_ = offset;
  if (!reading_payload()) {
    payload_at_ = offset;
    read_payload();
  }
  return 0;
}

void HttpTask::take_payload(std::string piece) {
  if (!exchange_)
    return;
  auto begin = payload_at_ - static_cast<std::int64_t>(piece.size());
  if (begin != wanted_at_) {  // the request began anew meanwhile, on another connection
    payload_at_ = wanted_at_;
    read_payload();
    return;
  }
  piece_at_ = begin;
  piece_ = std::move(piece);
  exchange_->resume_upload();
}

void HttpTask::on_head(curl::Head head) {
  backend_.on_answer(url_->origin);
  head_ = std::move(head);
  std::string coding = lower(trim(value_of(head_, "Content-Encoding")));
  std::string status = std::to_string(head_.status);
  if (is_result(head_.status) && (coding.empty() || coding == "identity")) {
    outcome_ = Outcome::result;
    return;
  }
  outcome_ = is_passing(head_.status) ? Outcome::retry : Outcome::final;
  title_ = "The back end answered " + status;
  detail_ = is_result(head_.status) ? "Its answer has a Content-Encoding, which was not asked for."
            : head_.status == 206   ? "It is a part, which was not asked for."
            : head_.status == 304   ? "It answers as if the request had a condition."
            : head_.status >= 300 && head_.status < 400 ? "It redirects, which is not followed."
                                                        : "It gave no reason.";
  if (outcome_ == Outcome::retry)
    retry_ms_ = curl::retry_after_ms(head_, loop_.unix_ms(), kMaxRetryMs);
}

bool HttpTask::on_piece(std::string_view piece) {
  if (outcome_ == Outcome::result) {
    out_ += piece;
    if (!piece_is_full())
      return true;
    advance();  // on_room() goes on when it is stored
    return false;
  }
  error_body_ += piece.substr(0, kMaxProblem + 1 - error_body_.size());
  if (error_body_.size() > kMaxProblem)
    end_as(outcome_, title_, detail_);
  return true;
}

void HttpTask::on_room() {
  if (exchange_)
    exchange_->resume_body();
}

void HttpTask::on_end(const curl::Ending &ending) {
  exchange_.reset();
  if (ending.failure == curl::Failure::none) {
    end_as(outcome_, title_, detail_);
    return;
  }
  if (is_away(ending.failure)) {
    std::int64_t pause = backend_.on_away(url_->origin, ending.detail);
    log_.info("job " + name() + ": given back, as " + url_->origin + " is away");
    give_back(pause);
    return;
  }
  backend_.on_answer(url_->origin);
  if (head_.status != 0 && outcome_ != Outcome::result) {
    end_as(outcome_, title_, detail_);  // that it is an error counts, not whether all it says of it has come
    return;
  }
  log_.info("job " + name() + ": no answer from " + url_->origin + ": " + ending.detail);
  using curl::Failure;
  head_ = {};
  error_body_.clear();
  retry_ms_.reset();
  if (ending.failure == Failure::too_large)
    end_as(Outcome::final, "The answer of the back end is too large",
           "Its headers or its body exceed the limit.");
  else if (ending.failure == Failure::timeout)
    end_as(Outcome::retry, "The back end did not answer in time",
           "There was no whole answer within the time-out.");
  else if (ending.failure == Failure::garbage)
    end_as(Outcome::retry, "The back end did not answer", "What it sent is not HTTP.");
  else
    end_as(Outcome::retry, "The back end did not answer",
           "The connection was closed before the answer was complete.");
}

/// The work is over: stores what is left, and reports.
void HttpTask::end_as(Outcome outcome, const std::string &title, const std::string &detail) {
  outcome_ = outcome;
  title_ = title;
  detail_ = detail;
  exchange_.reset();
  if (outcome != Outcome::result)
    out_.clear();
  ended_ = true;
  advance();
}

void HttpTask::report() {
  if (outcome_ != Outcome::result) {
    fail(problem(), outcome_ == Outcome::final ? std::optional<std::int64_t>(-1) : retry_ms_);
    return;
  }
  std::string type = value_of(head_, "Content-Type");
  int status = head_.status == 201 || head_.status == 203 ? head_.status : 200;
  complete(wire::is_media_type(type) ? type : "application/octet-stream", status,
           wire::disposition_file_name(value_of(head_, "Content-Disposition")));
}

std::string HttpTask::problem() const {
  return backend_problem({head_.status, value_of(head_, "Content-Type"), error_body_}, title_, detail_);
}

/// PostgreSQL did not take the outcome: the attempt fails without anything of the answer.
void HttpTask::report_refused() {
  wire::JsonWriter error;
  error.text("title", success() ? "The result was refused" : "The back end failed");
  error.text("detail",
             "The database refused what the back end answered. The log of the worker has the reason.");
  if (head_.status != 0)
    error.number("backend_status", head_.status);
  fail(error.take(), outcome_ == Outcome::retry ? retry_ms_ : std::optional<std::int64_t>(-1));
}

void HttpTask::stop(const std::string &why) {
  if (ended_ && !mine_)
    return;
  log_.info("job " + name() + ": " + (exchange_ ? "ending the request: " : "ended: ") + why);
  mine_ = false;
  ended_ = true;
  exchange_.reset();
  over();
}

}  // namespace await::worker
