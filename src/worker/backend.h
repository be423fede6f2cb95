#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backoff.h"
#include "curl/client.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "wire/replay.h"

namespace await::worker {

/// The back ends that jobs are played to (`--http`, `--http-allow`): only those that the command line names.
///
/// One that cannot be connected to is away: its jobs are given back without using up an attempt, and it is
/// tried by connecting to it, after growing pauses, instead of by jobs. While the only one is away, no jobs
/// are claimed.
class Backend {
 public:
  /// Options of the command line that concern back ends.
  struct Options {
    std::vector<wire::BackendUrl> urls;  ///< the first one is that of jobs that name none
    std::int64_t connect_ms = 5'000;
    std::int64_t whole_ms = 600'000;
    std::int64_t max_result = std::int64_t{1} << 30;
    std::string ca_file;
  };

  /// @param recovered  called when jobs can be claimed again
  Backend(io::Loop &loop, io::Log &log, io::Random &random, Options options, std::function<void()> recovered);

  const Options &options() const { return options_; }
  curl::Client &client() { return client_; }
  /// Where jobs with this origin go; null: nowhere.
  const wire::BackendUrl *find(const std::string &origin) const;
  /// Whether jobs should be claimed.
  bool ready() const;
  /// How long a job of a back end that is away waits before it is tried again; 0: it is not away.
  std::int64_t pause(const std::string &origin) const;
  /// There was no connection. @return the pause before a job should be tried again
  std::int64_t on_away(const std::string &origin, const std::string &why);
  /// It has answered, in whatever way.
  void on_answer(const std::string &origin);

 private:
  /// A back end that is away.
  class Probe : private curl::Listener {
   public:
    Probe(Backend &backend, const std::string &origin);
    void fail(const std::string &why);
    std::int64_t pause_ms() const { return pause_ms_; }

   private:
    void on_head(curl::Head) override {}
    bool on_piece(std::string_view) override { return true; }
    void on_end(const curl::Ending &ending) override;
    void connect();

    Backend &backend_;
    std::string origin_;
    core::Backoff backoff_{500, 30'000};
    std::int64_t pause_ms_ = 0;
    std::unique_ptr<io::Timer> timer_;
    std::unique_ptr<curl::Exchange> exchange_;
  };

  io::Loop &loop_;
  io::Random &random_;
  Options options_;
  std::function<void()> recovered_;
  curl::Client client_;
  io::Outage outage_;
  std::map<std::string, std::unique_ptr<io::Outage::Part>> parts_;
  std::map<std::string, std::unique_ptr<Probe>> away_;
};

}  // namespace await::worker
