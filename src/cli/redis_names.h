#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "redis/bus.h"

namespace await::cli {

/// Replaces the host name in `address`, if it is one, by the first of its numeric addresses. Blocks. Errors:
/// invalid, if the name has no address.
Result<std::string> resolve(redis::Address &address);

/// The Redis servers of a command line.
struct RedisServers {
  std::vector<redis::Address> addresses;
  std::vector<std::string> names;  ///< of each: what its address was looked up by; empty: nothing
};
/// Reads and checks the values of --redis. Blocks: names are looked up. Errors: invalid, with the option.
Result<RedisServers> read_redis(const std::vector<std::string> &given);

/// Resolves the names of Redis servers again while they are not connected, because a server that has moved
/// has another address. The addresses of a name are tried in turn. A name is looked up in a process of its
/// own: no library function does it without blocking or threads.
class RedisNames {
 public:
  /// @param names  of the servers of the bus, in its order; empty for one that needs no look-up
  RedisNames(io::Loop &loop, redis::Bus &bus, std::vector<std::string> names);
  ~RedisNames();

 private:
  static constexpr std::int64_t kCheckMs = 1000;
  static constexpr unsigned kPatience = 30;  // seconds, for a look-up

  void check();
  void reap();
  void look_up(std::size_t server);
  void on_answer();
  void use(const std::string &answer);
  void stop();

  io::Loop &loop_;
  redis::Bus &bus_;
  std::vector<std::string> names_;
  std::vector<std::size_t> turns_;  // by server: look-ups so far
  std::size_t next_ = 0;            // server to be checked
  std::size_t asked_ = 0;           // server that is being looked up
  int fd_ = -1;                     // from which the answer is read
  int pid_ = 0;                     // of the process of a look-up; 0: there is none
  std::string answer_;
  std::unique_ptr<io::FdWatcher> watch_;
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::cli
