#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "curl/client.h"
#include "io/poll_loop.h"
#include "tool/service.h"

namespace await::tool {

struct Answer {
  curl::Head head;
  std::string body;  ///< without what a receiver has taken
};

/// Takes the body of an answer as it arrives; false: enough.
struct Receiver {
  /// Whether this answer's body is for the receiver.
  std::function<bool(const curl::Head &head)> wants;
  std::function<bool(std::string_view piece)> take;
};

/// Requests that are waited for.
class HttpCalls {
 public:
  static constexpr std::int64_t kMostBody = 16 << 20;  ///< of an answer without a receiver

  /// @param ca_file  certificates to trust instead of those of the system; may be empty
  explicit HttpCalls(const std::string &ca_file);

  /// @param silence_ms  ends with Code::timeout if nothing arrives for so long
  Result<Answer> run(curl::Request request, const Deadline &deadline, std::int64_t silence_ms,
                     const Receiver *receiver = nullptr);
  void wait(std::int64_t ms);

 private:
  io::PollLoop loop_;
  curl::Client client_;
};

}  // namespace await::tool
