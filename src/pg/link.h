#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "pg/hosts.h"

namespace await::pg {

/// A connection of libpq to one host, and its socket in the event loop. Nothing blocks.
class Link {
 public:
  /// Of the session. What the conninfo says comes later, and counts.
  struct Session {
    std::string name;            ///< of the application
    std::string settings;        ///< "-c name=value …"
    std::int64_t unread_ms = 0;  ///< for how long the server may read nothing
    bool replicates = false;
  };
  enum class Step : std::uint8_t { waits, established, failed };

  /// @param ready  there is something to read, or room to write
  Link(io::Loop &loop, std::function<void()> ready) : loop_(loop), ready_(std::move(ready)) {}
  ~Link() { close(); }

  /// For the functions of libpq; null: closed.
  PGconn *get() const { return pg_.get(); }
  /// Begins to connect: call step() when it is ready. `hosts` and `host` are of one round. Returns false if
  /// that has failed.
  bool begin(const Hosts &hosts, const Host &host, const Session &session, PQnoticeReceiver notice, void *of);
  Step step();
  /// Which of its events are reported. Returns false if it cannot be watched.
  bool watch(bool readable, bool writable);
  void close();
  /// Why the last of these, or of the functions of libpq, has failed. Without the password.
  std::string failure() const;

 private:
  struct Finish {
    void operator()(PGconn *pg) const { PQfinish(pg); }
  };
  void unwatch();

  io::Loop &loop_;
  std::function<void()> ready_;
  std::unique_ptr<PGconn, Finish> pg_;
  std::unique_ptr<io::FdWatcher> watch_;
  int watched_fd_ = -1;
  const char *unwatched_ = nullptr;  // why it cannot be watched
};

/// The reasons why hosts could not be connected to, each once, at not too great length.
class Reasons {
 public:
  void clear() { text_.clear(); }
  void add(const std::string &why);
  const std::string &text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace await::pg
