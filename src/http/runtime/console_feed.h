#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/list.h"
#include "core/console.h"
#include "core/ports.h"
#include "http/runtime/backends.h"
#include "ngx/loop.h"
#include "ngx/nginx.h"

namespace await::http {

/// What await.console_overview() says, for the consoles that are open: one nginx worker reads it for all of
/// this node and puts it into shared memory. At most once a second, and so rarely, but once a minute, that
/// the database spends no more than a twentieth of its time on it. Nothing is read while no console is open.
class ConsoleFeed {
 public:
  /// A console. Destroying it ends the calls.
  class Listener : public Hook<Listener> {
   public:
    /// Once a second, and as soon as there is news. May destroy this.
    /// @param overview  JSON text; empty: it cannot be read, or was not yet
    /// @param is_new  it is another one than in the call before
    virtual void on_overview(std::string_view overview, bool is_new) = 0;

   protected:
    ~Listener() = default;
  };

  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

  /// @param zone  what reserve() returned; null: no location needs it
  ConsoleFeed(ngx::Loop &loop, Backends &backends, ngx_shm_zone_t *zone);

  /// The first call comes within a second, never before this returns.
  void add(Listener &listener);
  /// Call once a second, while the server drains, too.
  void on_second();
  /// A text that is the same for all listeners of this call: whoever finds it empty makes it.
  std::string &shared(bool may_write) { return shared_[may_write ? 1 : 0]; }
  /// How old the overview is that the listeners were given; -1: none is.
  std::int64_t age_ms() const { return overview_.empty() ? -1 : loop_.monotonic_ms() - overview_read_ms_; }

 private:
  struct Table;
  /// What a read came to, until it is in the table.
  struct Outcome {
    std::string overview;  ///< empty: the read failed
    std::int64_t at_ms;
    std::int64_t pause_ms;  ///< before the next read
  };
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);
  void read_if_due();
  void on_read(Result<core::ConsoleDocument> overview);
  void publish();
  void take_newest();
  void tell();

  ngx::Loop &loop_;
  Backends &backends_;
  ngx_slab_pool_t *pool_ = nullptr;
  Table *table_ = nullptr;
  List<Listener, Listener> listeners_;
  std::string overview_;          // a copy
  std::int64_t overview_no_ = 0;  // of the copy
  std::int64_t overview_read_ms_ = 0;
  std::optional<Outcome> outcome_;
  std::int64_t read_at_ms_ = 0;  // when the read in progress began
  bool is_new_ = false;
  std::string shared_[2];
  core::Reply<core::ConsoleDocument> reply_ =
      core::Reply<core::ConsoleDocument>::to<&ConsoleFeed::on_read>(this);
};

}  // namespace await::http
