#include "wire/batch_parser.h"

#include <algorithm>

namespace await::wire {
namespace {

constexpr std::size_t kMaxKey = 64;
constexpr std::size_t kKeep = 16 * 1024;  // memory that is not freed between two jobs

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::string BatchParser::Fault::text() const {
  std::string where = job > 0 ? "Job " + std::to_string(job) + ", at byte " : std::string("At byte ");
  return where + std::to_string(byte) + ": " + why + ".";
}

BatchParser::Step BatchParser::next(std::string_view &bytes) {
  while (!bytes.empty()) {
    Step step;
    if (at_ == At::job) {
      step = in_job(bytes);
    } else {
      step = envelope(bytes[0]);
      if (step != Step::fault && at_ != At::job) {  // the first byte of a job is taken with it
        bytes.remove_prefix(1);
        ++offset_;
      }
    }
    if (step != Step::more)
      return step;
  }
  return Step::more;
}

/// What is around the jobs.
BatchParser::Step BatchParser::envelope(char c) {
  if (at_ == At::key)
    return value_of_key(c);
  if (at_ == At::line_end && c == '\n')
    at_ = At::line;
  if (is_space(c) && at_ != At::broken)
    return Step::more;
  switch (at_) {
    case At::begin:
      return expect(c, '{', At::first_key, "the body must be an object with the member \"jobs\"");
    case At::first_key:
    case At::next_key:
      began_ = offset_;
      text_.clear();
      return expect(
          c, '"', At::key,
          at_ == At::first_key ? "the member \"jobs\" is missing" : "a name of a member is missing");
    case At::colon:
      return expect(c, ':', At::array, "a colon is missing");
    case At::array:
      return expect(c, '[', At::first_job, "\"jobs\" must be an array");
    case At::after_job:
      if (c == ',') {
        at_ = At::next_job;
        return Step::more;
      }
      return expect(c, ']', At::after_array, "a comma is missing");
    case At::after_array:
      if (c == ',') {
        at_ = At::next_key;
        return Step::more;
      }
      return expect(c, '}', At::end, "a comma is missing");
    case At::first_job:
      if (c == ']') {
        at_ = At::after_array;
        return Step::more;
      }
      return begin_job(c);
    case At::next_job:
    case At::line:
      return begin_job(c);
    case At::line_end:
      return fault("a line must have one job");
    case At::end:
      return fault("unexpected data after the end");
    default:
      return Step::fault;
  }
}

BatchParser::Step BatchParser::expect(char c, char wanted, At next, const char *why) {
  if (c != wanted)
    return fault(why);
  at_ = next;
  return Step::more;
}

/// A byte of the name of a member beside the jobs.
BatchParser::Step BatchParser::value_of_key(char c) {
  if (c != '"' && text_.size() < kMaxKey) {
    text_ += c;
    return Step::more;
  }
  return end_key();
}

BatchParser::Step BatchParser::end_key() {
  offset_ = began_;  // a fault is about the whole name
  if (text_ != "jobs")
    return fault("unknown member \"" + text_ + "\"; a batch has only \"jobs\"");
  if (have_jobs_)
    return fault("\"jobs\" is there twice");
  offset_ += text_.size() + 1;
  have_jobs_ = true;
  at_ = At::colon;
  return Step::more;
}

BatchParser::Step BatchParser::begin_job(char c) {
  began_ = offset_;
  at_ = At::job;
  if (jobs_ == kMaxJobs)
    return fault("a batch has at most 10000 jobs", true);
  if (c != '{')
    return fault("a job must be an object");
  text_.clear();
  check_ = JsonCheck();
  return Step::more;
}

BatchParser::Step BatchParser::in_job(std::string_view &bytes) {
  std::size_t room = kMaxJob - text_.size();
  if (room == 0)
    return fault("the job exceeds 1 MB; send large files as multipart/form-data", true);
  std::string_view piece = bytes.substr(0, check_.take(bytes.substr(0, room)));
  if (auto line_feed = form_ == Form::lines ? piece.find('\n') : piece.npos; line_feed != piece.npos) {
    offset_ += line_feed;
    return fault("a job must be one line");
  }
  text_ += piece;
  bytes.remove_prefix(piece.size());
  offset_ += piece.size();
  if (check_.error() != nullptr)
    return fault(check_.error());
  return check_.ended() ? end_job() : Step::more;
}

BatchParser::Step BatchParser::end_job() {
  job_ = BatchJob();
  if (auto wrong = read_batch_job(text_, allowed_, job_)) {
    offset_ = began_ + wrong->at;
    return fault(std::move(wrong->why), wrong->too_much);
  }
  ++jobs_;
  at_ = form_ == Form::object ? At::after_job : At::line_end;
  if (text_.capacity() > kKeep)
    std::string().swap(text_);  // so that a client that stalls does not hold memory
  return Step::job;
}

bool BatchParser::finish() {
  bool whole = at_ == At::end || at_ == At::line || at_ == At::line_end;
  if (whole && jobs_ > 0)
    return true;
  if (at_ != At::broken)
    fault(whole || offset_ == 0 ? "the batch has no jobs" : "the body is truncated");
  return false;
}

BatchParser::Step BatchParser::fault(std::string why, bool too_much) {
  fault_ = {at_ == At::job ? jobs_ + 1 : 0, offset_, std::move(why), too_much};
  at_ = At::broken;
  return Step::fault;
}

}  // namespace await::wire
