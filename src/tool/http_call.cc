#include "tool/http_call.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace await::tool {
namespace {

constexpr std::int64_t kDay = 86'400'000;

class Listener : public curl::Listener {
 public:
  Listener(io::PollLoop &loop, const Receiver *receiver) : loop_(loop), receiver_(receiver) { touch(); }

  void on_head(curl::Head head) override {
    touch();
    if (receiver_ != nullptr && !receiver_->wants(head))
      receiver_ = nullptr;
    answer.head = std::move(head);
  }
  bool on_piece(std::string_view piece) override {
    touch();
    if (enough)
      return true;
    if (receiver_ != nullptr)
      enough = !receiver_->take(piece);
    else if (answer.body.size() + piece.size() <= static_cast<std::size_t>(HttpCalls::kMostBody))
      answer.body += piece;
    else
      too_large = true;
    return true;
  }
  void on_end(const curl::Ending &how) override { ending = how; }

  bool done() const { return ending || enough || too_large; }
  std::int64_t silent_ms() const { return loop_.monotonic_ms() - heard_ms_; }

  Answer answer;
  std::optional<curl::Ending> ending;
  bool enough = false;
  bool too_large = false;

 private:
  void touch() { heard_ms_ = loop_.monotonic_ms(); }
  io::PollLoop &loop_;
  const Receiver *receiver_;
  std::int64_t heard_ms_ = 0;
};

Error error_of(const curl::Ending &ending, const std::string &url) {
  Code code = ending.failure == curl::Failure::timeout     ? Code::timeout
              : ending.failure == curl::Failure::too_large ? Code::too_large
                                                           : Code::unavailable;
  return {code, url + ": " + ending.detail};
}

}  // namespace

HttpCalls::HttpCalls(const std::string &ca_file)
    : client_(loop_, {curl::AddressGuard::open(), ca_file, "await"}) {}

Result<Answer> HttpCalls::run(curl::Request request, const Deadline &deadline, std::int64_t silence_ms,
                              const Receiver *receiver) {
  std::string url = request.url;
  request.max_body = INT64_MAX;
  request.whole_ms = std::clamp<std::int64_t>(deadline.left_ms(), 1, kDay);
  request.connect_ms = std::min<std::int64_t>(request.connect_ms, request.whole_ms);
  Listener listener(loop_, receiver);
  auto exchange = client_.start(std::move(request), listener);
  if (!exchange)
    return Error{Code::invalid, url + ": " + exchange.error().detail};
  while (!listener.done()) {
    if (deadline.over() || listener.silent_ms() > silence_ms)
      return Error{Code::timeout, url + ": no answer in time"};
    loop_.round(std::min<std::int64_t>(1000, deadline.left_ms() + 1));
  }
  if (listener.too_large)
    return Error{Code::too_large, url + ": the answer is too large"};
  if (!listener.enough && listener.ending->failure != curl::Failure::none)
    return error_of(*listener.ending, url);
  return std::move(listener.answer);
}

void HttpCalls::wait(std::int64_t ms) {
  loop_.run_until([] { return false; }, ms);
}

}  // namespace await::tool
