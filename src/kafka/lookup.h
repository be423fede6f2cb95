#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/ports.h"
#include "io/loop.h"
#include "kafka/handle.h"

namespace await::kafka {

/// Asks a cluster whether it answers, and has these topics. librdkafka only does so blocking, as the resolver
/// does, so it is done by a thread.
class Lookup {
 public:
  explicit Lookup(io::Loop &loop) : loop_(loop) {}
  ~Lookup();
  /// One at a time, which takes a few seconds at most. Creates no topics. Errors: not_found, with the names
  /// of topics that are missing; unavailable, also if only some of the brokers have an address, or a
  /// partition has no leader; invalid: the settings.
  void ask(const Settings &settings, const std::vector<std::string> &topics, core::Reply<Done> &reply);
  /// Only whether each of the brokers has an address. Errors: unavailable.
  void find_names(const Settings &settings, core::Reply<Done> &reply);

 private:
  struct Job;
  void begin(Job *job, core::Reply<Done> &reply);
  static void run(Job &job);
  void on_answer();
  void forget();

  io::Loop &loop_;
  Job *job_ = nullptr;  // shared with the thread
  std::unique_ptr<io::FdWatcher> watch_;
  List<core::Reply<Done>> waiting_;
};

}  // namespace await::kafka
