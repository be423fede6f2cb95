#include "tool/http_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "core/backoff.h"
#include "tool/event_stream.h"
#include "tool/json.h"
#include "wire/json_check.h"

namespace await::tool {
namespace {

constexpr std::int64_t kAnswerMs = 60'000;   // longer than a held request
constexpr std::int64_t kSilenceMs = 45'000;  // three heartbeats of a stream (await_ping)
constexpr std::int64_t kMostPauseMs = 30'000;
constexpr std::int64_t kBusyMs = 1'000;
constexpr char kHeld[] = "wait=20";

bool is_busy(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

Code code_of(int status) {
  if (status == 401 || status == 403)
    return Code::forbidden;
  if (status == 404 || status == 410)
    return Code::not_found;
  return is_busy(status) ? Code::unavailable : status >= 500 ? Code::internal : Code::invalid;
}

/// What the server said of a refusal.
Error refusal(const Answer &answer, const std::string &url) {
  std::string text = "HTTP status " + std::to_string(answer.head.status);
  if (wire::is_json(answer.body)) {
    for (const char *member : {"title", "detail"}) {
      if (std::string said = text_at(answer.body, member); !said.empty())
        text += (member[0] == 't' ? ", " : ": ") + said.substr(0, 500);
    }
    if (std::string id = text_at(answer.body, "request_id"); !id.empty())
      text += " (request " + id.substr(0, 100) + ")";
  }
  return {code_of(answer.head.status), url + ": " + text};
}

Result<std::string> json_of(const Answer &answer, const std::string &url) {
  if (answer.head.status >= 300 || answer.head.status < 200)
    return refusal(answer, url);
  if (!wire::is_json(answer.body) || !trim(answer.body).starts_with('{'))
    return Error{Code::internal, url + ": the answer is not JSON; is this a location of nginx-await?"};
  return wire::minify(answer.body);
}

std::string escape(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", c);
    bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' ||
                 c == '_' || c == '~';
    out += plain ? std::string(1, static_cast<char>(c)) : code;
  }
  return out;
}

}  // namespace

/// How far a stream was read, over its connections.
struct HttpService::Stream {
  std::string cursor;
  bool any = false;  // this connection has brought an event
  bool enough = false;
};

HttpService::HttpService(Options options, Deadline deadline, std::function<void(const std::string &)> told)
    : options_(std::move(options)), deadline_(deadline), told_(std::move(told)), calls_(options_.ca_file) {}

Result<Done> HttpService::prepare() {
  std::string &url = options_.url;
  auto scheme = url.find("://");
  if ((!url.starts_with("http://") && !url.starts_with("https://")) || url.size() == scheme + 3)
    return Error{Code::invalid, "--url begins with http:// or https://, and has a host"};
  if (url.find_first_of("?#") != url.npos)
    return Error{
        Code::invalid,
        "--url has no arguments: it is where jobs are submitted, such as http://127.0.0.1:8080/jobs"};
  auto slash = url.find('/', scheme + 3);
  origin_ = url.substr(0, slash);
  while (slash != url.npos && url.size() > slash + 1 && url.ends_with('/'))
    url.pop_back();
  return Done{};
}

Result<std::string> HttpService::url_of(const std::string &job) const {
  if (Uuid::parse(job))
    return options_.url + "/" + job;
  std::string url = job.starts_with('/') ? origin_ + job : job;
  if (!url.starts_with(origin_ + "/"))
    return Error{Code::invalid, "\"" + job + "\" is neither the id of a job nor a URL of " + origin_};
  return url;
}

/// Where the document of a job says that something of it is.
Result<std::string> HttpService::link(const std::string &job, const std::string &name,
                                      const std::string &otherwise) {
  auto text = document(job);
  if (!text)
    return text.error();
  std::string given = text_at(*text, "links." + name);
  auto self = url_of(job);
  if (given.empty())
    return self ? *self + otherwise : self;
  // credentials are for this origin only
  std::string url = given.starts_with('/') && !given.starts_with("//") ? origin_ + given : given;
  if (!url.starts_with(origin_ + "/"))
    return Error{Code::forbidden, "the server refers to another origin, which is not followed: " + given};
  return url;
}

Result<Answer> HttpService::send(curl::Request request, std::int64_t silence_ms, const Receiver *receiver) {
  request.headers.insert(request.headers.end(), options_.headers.begin(), options_.headers.end());
  return calls_.run(std::move(request), deadline_, silence_ms, receiver);
}

/// If there is no time left for one more answer, the last one counts: it says why.
Result<Answer> HttpService::send_again(const curl::Request &request) {
  core::Backoff backoff(200, 5'000);
  std::optional<Result<Answer>> last;
  for (bool told = false;; told = true) {
    auto answer = send(request, kAnswerMs);
    if (last && !answer && answer.error().code == Code::timeout)
      return std::move(*last);
    bool busy = answer && (is_busy(answer->head.status) ||
                           (answer->head.status == 409 && answer->head.find("Retry-After") != nullptr));
    if (answer ? !busy : answer.error().code != Code::unavailable)
      return answer;
    std::int64_t pause = backoff.next(random_.unit());
    if (answer)
      pause = std::max(pause, curl::retry_after_ms(answer->head, 0, kMostPauseMs).value_or(0));
    if (pause >= deadline_.left_ms())
      return answer;
    if (!told)
      told_((answer ? refusal(*answer, request.url) : answer.error()).detail + "; trying again");
    last = std::move(answer);
    calls_.wait(pause);
  }
}

Result<std::string> HttpService::submit(const Submission &submission) {
  curl::Request request;
  request.method = "POST";
  request.url = options_.url;
  request.headers = {{"Content-Type", submission.type.empty() ? "application/octet-stream" : submission.type},
                     {"Accept", "application/json"},
                     {"Idempotency-Key", "\"" + submission.key + "\""}};
  request.body = submission.body;
  auto answer = send_again(request);
  return answer ? json_of(*answer, request.url) : Result<std::string>(answer.error());
}

Result<std::string> HttpService::document(const std::string &job) {
  auto url = url_of(job);
  if (!url)
    return url;
  curl::Request request;
  request.url = *url;
  request.headers = {{"Accept", "application/json"}};
  auto answer = send_again(request);
  return answer ? json_of(*answer, *url) : Result<std::string>(answer.error());
}

/// Reads a stream to its end. Returns whether there will be nothing more.
Result<bool> HttpService::read_stream(const std::string &url, Stream &stream, const Take &take) {
  std::string broken;
  EventStream parser([&](const EventStream::Event &event) {
    stream.any = true;
    if (event.type == "ready" || event.type == "reset" || event.type == "beat") {
      if (event.type != "beat")
        stream.cursor = event.id;
      return true;
    }
    if (!wire::is_json(event.data)) {
      broken = "an event is not JSON";
      return false;
    }
    stream.enough = !take(wire::minify(event.data));
    stream.cursor = event.id;
    return !stream.enough;
  });
  Receiver receiver{[](const curl::Head &head) { return head.status == 200; },
                    [&](std::string_view piece) { return parser.feed(piece); }};
  curl::Request request;
  request.url = url;
  request.headers = {{"Accept", "text/event-stream"}};
  if (!stream.cursor.empty())
    request.headers.emplace_back("Last-Event-ID", stream.cursor);
  auto answer = send(std::move(request), kSilenceMs, &receiver);
  if (parser.failed())
    broken = "an event is too large";
  if (!broken.empty())
    return Error{Code::internal, url + ": " + broken};
  if (!answer)
    return answer.error();
  if (answer->head.status == 200) {
    const std::string *type = answer->head.find("Content-Type");
    if (type == nullptr || !type->starts_with("text/event-stream"))
      return Error{Code::internal,
                   url + ": the answer is no event stream; is this a location of nginx-await?"};
    return stream.enough;
  }
  return answer->head.status == 204 ? Result<bool>(true) : refusal(*answer, url);
}

Result<Done> HttpService::follow(const std::string &job, const Take &take) {
  auto url = link(job, "events", "/events");
  if (!url)
    return url.error();
  Stream stream;
  core::Backoff backoff(200, kMostPauseMs);
  for (std::string last;;) {
    stream.any = false;
    auto done = read_stream(*url, stream, take);
    if (done && *done)
      return Done{};
    Code code = done ? Code::unavailable : done.error().code;
    if (deadline_.over())
      return Error{Code::timeout, *url + ": it has not ended in time"};
    if (code != Code::unavailable && code != Code::timeout)
      return done.error();
    if (stream.any)
      backoff.reset();
    std::string why = done ? "" : done.error().detail;
    if (!why.empty() && why != last)
      told_(why + "; trying again");
    last = stream.any ? "" : why;
    calls_.wait(std::min(backoff.next(random_.unit()), deadline_.left_ms()));
  }
}

Result<Ending> HttpService::result(const std::string &job, bool waits, const Sink &sink) {
  auto url = link(job, "result", "/result");
  if (!url)
    return url.error();
  bool written = true;
  bool is_result = false;
  Receiver receiver{[&](const curl::Head &head) {
                      is_result = (head.status >= 200 && head.status <= 203 && head.status != 202);
                      const std::string *type = head.find("Content-Type");
                      written = !is_result || sink.begin(type != nullptr ? *type : "");
                      return is_result;
                    },
                    [&](std::string_view piece) { return written && (written = sink.write(piece)); }};
  for (;;) {
    curl::Request request;
    request.url = *url;
    if (waits)
      request.headers = {{"Prefer", kHeld}};
    auto answer = send(std::move(request), kAnswerMs, &receiver);
    bool busy =
        answer ? is_busy(answer->head.status) : answer.error().code == Code::unavailable && !is_result;
    bool again = busy || (answer && answer->head.status == 202 && waits);
    if (deadline_.over() && again)
      return Error{Code::timeout, *url + ": it has not ended in time"};
    if (again && (waits || busy)) {
      // one that did not hold the request would be asked without end
      bool held = !busy && answer->head.find("Preference-Applied") != nullptr;
      calls_.wait(std::min(held ? 0 : kBusyMs, deadline_.left_ms()));
      continue;
    }
    if (!written)
      return Error{Code::internal, "the result cannot be written"};
    if (!answer)
      return answer.error();
    return is_result ? Ending{"completed", ""} : unfinished(job, *answer);
  }
}

/// What an answer that is no result says of the job.
Result<Ending> HttpService::unfinished(const std::string &job, const Answer &answer) {
  auto text = document(job);
  if (!text)
    return text.error();
  std::string state = text_at(*text, "state");
  if (state == "completed" || (!has_ended(state) && answer.head.status != 202))
    return refusal(answer, job);
  return Ending{state, state == "failed" && wire::is_json(answer.body) ? wire::minify(answer.body) : ""};
}

Result<Page> HttpService::list(const Filter &filter, const std::string &cursor) {
  curl::Request request;
  request.url = options_.url + "?limit=" + std::to_string(std::min<std::int64_t>(filter.limit, 200));
  request.headers = {{"Accept", "application/json"}};
  for (auto [name, value] :
       {std::pair("queue", &filter.queue), {"state", &filter.state}, {"cursor", &cursor}}) {
    if (!value->empty())
      request.url += std::string("&") + name + "=" + escape(*value);
  }
  auto answer = send_again(request);
  if (!answer)
    return answer.error();
  if (answer->head.status == 405)
    return Error{
        Code::invalid,
        options_.url + ": this location lists no jobs: it has no await_owner, and not the option all"};
  auto text = json_of(*answer, options_.url);
  if (!text)
    return text.error();
  return Page{elements(text_at(*text, "jobs")), text_at(*text, "next")};
}

Result<std::vector<std::string>> HttpService::queues(const std::string &) {
  return Error{Code::invalid, "a location tells nothing about queues: use --database"};
}
Result<bool> HttpService::pause(const std::string &, bool) {
  return Error{Code::invalid, "queues cannot be paused by a location: use --database"};
}

Result<std::string> HttpService::retry(const std::string &job) {
  auto url = url_of(job);
  if (!url)
    return url;
  curl::Request request;
  request.method = "POST";
  request.url = *url + "/retry";
  request.headers = {{"Accept", "application/json"}};
  auto answer = send_again(request);
  if (!answer)
    return answer.error();
  auto text = json_of(*answer, request.url);
  return text ? text_at(*text, "id") : text;
}

Result<bool> HttpService::cancel(const std::string &job) {
  auto url = url_of(job);
  if (!url)
    return url.error();
  curl::Request request;
  request.method = "DELETE";
  request.url = *url;
  auto answer = send_again(request);
  if (!answer)
    return answer.error();
  if (answer->head.status != 200 && answer->head.status != 202)
    return refusal(*answer, *url);
  return answer->head.status == 202;
}

}  // namespace await::tool
