#pragma once

#include <string>

#include "io/random.h"
#include "tool/http_call.h"
#include "tool/service.h"

namespace await::tool {

/// The HTTP API of a location (docs/http.md).
class HttpService : public Service {
 public:
  struct Options {
    std::string url;  ///< of the location with `await`, or where jobs are submitted
    curl::Headers headers;
    std::string ca_file;
  };

  /// @param told  called with what a user should know while a call goes on: a connection was lost
  HttpService(Options options, Deadline deadline, std::function<void(const std::string &)> told);
  /// Checks the URL. Errors: invalid.
  Result<Done> prepare();

  Result<std::string> submit(const Submission &submission) override;
  Result<std::string> document(const std::string &job) override;
  Result<Done> follow(const std::string &job, const Take &take) override;
  Result<Ending> result(const std::string &job, bool waits, const Sink &sink) override;
  Result<Page> list(const Filter &filter, const std::string &cursor) override;
  Result<std::vector<std::string>> queues(const std::string &queue) override;
  Result<bool> pause(const std::string &queue, bool paused) override;
  Result<std::string> retry(const std::string &job) override;
  Result<bool> cancel(const std::string &job) override;

 private:
  struct Stream;

  Result<std::string> url_of(const std::string &job) const;
  Result<std::string> link(const std::string &job, const std::string &name, const std::string &otherwise);
  Result<Answer> send(curl::Request request, std::int64_t silence_ms, const Receiver *receiver = nullptr);
  /// The same again while the server is away or busy, until the deadline.
  Result<Answer> send_again(const curl::Request &request);
  Result<bool> read_stream(const std::string &url, Stream &stream, const Take &take);
  Result<Ending> unfinished(const std::string &job, const Answer &answer);

  Options options_;
  Deadline deadline_;
  std::function<void(const std::string &)> told_;
  HttpCalls calls_;
  io::Random random_;
  std::string origin_;
};

}  // namespace await::tool
