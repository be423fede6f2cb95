#pragma once

#include <cstdint>

#include "base/list.h"
#include "ngx/nginx.h"

namespace await::ngx {

struct IsHeld {};

/// A request that outlives its content handler. Made in the request's pool by ngx::make, so that
/// "the client left" is just destruction: of this object and of every wait it owns.
class Held : public Hook<IsHeld> {
 public:
  explicit Held(ngx_http_request_t *r) : r_(r) {}
  virtual ~Held();

  /// nginx shuts down: answer soon.
  virtual void drain() = 0;
  /// It has waited long enough for that: the last chance to say something.
  virtual void give_up() = 0;
  /// Ends the connection, whatever is still to be written. Mostly destroys this.
  void cut();
  bool finished() const { return finished_; }

 protected:
  /// Keeps the request after the content handler, which returns what this returns. The body must have
  /// been read or discarded.
  ngx_int_t hold();
  /// Watches for the client to leave, once nothing is read from it any more.
  void watch_client();
  /// Calls on_time() after `ms`, once; a later call replaces the earlier one.
  void set_timer(std::int64_t ms);
  void clear_timer();
  virtual void on_time() {}
  /// Lets go of every wait. The request may live on for a while: nginx writes to a slow client, or lingers.
  virtual void leave() = 0;
  /// Leaves, and ends the request with what a content handler would return. Mostly destroys this: touch
  /// nothing after.
  void finish(ngx_int_t rc);

  ngx_http_request_t *r_;

 private:
  struct Clock {
    ngx_event_t event{};
    ngx_connection_t connection{};  // debug builds print the fd of every timer's connection
  };
  static void on_timer(ngx_event_t *event) noexcept;
  bool finished_ = false;
  Clock *clock_ = nullptr;  // in the request's pool, made at first use
};

}  // namespace await::ngx
