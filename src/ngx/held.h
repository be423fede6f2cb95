#pragma once

#include <cstdint>
#include <memory>

#include "base/list.h"
#include "ngx/answer.h"
#include "ngx/nginx.h"
#include "ngx/parked.h"

namespace await::ngx {

struct IsHeld {};

/// A client that waits: first as a request, then, where that is possible, as its parked connection.
///
/// Kept alive by: the request's pool, whose cleanup destroys it; while parked, by itself. So "the client
/// left" is just destruction: of this object and of every wait it owns.
class Held : public Hook<IsHeld>, private Parked::Guest {
 public:
  explicit Held(ngx_http_request_t *r);
  virtual ~Held() = default;

  /// Makes a T of `r` that lives as said above. Throws std::bad_alloc.
  template <class T, class... Args>
  static T *make(ngx_http_request_t *r, Args &&...args) {
    std::unique_ptr<T> made(new T(r, std::forward<Args>(args)...));
    made->belong(r);
    return made.release();
  }

  /// Lets go of whoever holds the request: it is answered otherwise.
  static void forsake(ngx_http_request_t *r) noexcept;

  /// nginx shuts down: answer soon.
  virtual void drain() = 0;
  /// It has waited long enough for that: the last chance to say something.
  virtual void give_up() = 0;
  /// Its owner may no more (await.revoke()): ends what is live.
  virtual void revoke() {}
  /// Whose it is: a digest, to be found by; 0: nobody's.
  std::uint64_t owner_tag() const { return owner_tag_; }
  void set_owner_tag(std::uint64_t tag) { owner_tag_ = tag; }
  /// The request; null while parked.
  ngx_http_request_t *request() const { return r_; }
  /// Ends the connection, whatever is still to be written. Mostly destroys this. From an event of our own.
  void cut();
  bool finished() const { return finished_; }
  bool parked() const { return parked_ != nullptr; }

 protected:
  /// Keeps the request after the content handler, which returns what this returns. Of a body that was not
  /// read, the rest is passed over.
  Answer hold();
  /// Watches for the client to leave, once nothing is read from it any more.
  void watch_client();
  /// Gives the request up for now, if it can be: `r_` is null then. Not from within its content handler.
  bool park();
  /// Has a request again, if it was parked. False: no memory; the client is lost, and this destroyed.
  bool revive();
  /// A fresh request stands in for the one given up.
  virtual void revived() {}
  /// While parked: the connection can be written to again, or has timed out.
  virtual void on_parked_writable() {}
  /// Whether it reads from the client, and while parked: there is something to read.
  virtual bool reads_client() const { return false; }
  virtual void on_parked_readable() {}
  ngx_connection_t *connection() const { return r_ != nullptr ? r_->connection : parked_->connection(); }
  const ngx_http_core_loc_conf_t &core_settings() const {
    void **conf = r_ != nullptr ? r_->loc_conf : parked_->loc_conf();
    return *static_cast<ngx_http_core_loc_conf_t *>(conf[ngx_http_core_module.ctx_index]);
  }
  bool chunked() const { return r_ != nullptr ? r_->chunked : parked_->chunked(); }

  /// Lets go of every wait. The request may live on for a while: nginx writes to a slow client, or lingers.
  virtual void leave() = 0;
  /// Leaves, and ends the request. Mostly destroys this: touch nothing after.
  void finish(Answer answer);
  /// The same from within its content handler, which returns what this returns.
  Answer decline(Answer answer);

  ngx_http_request_t *r_;  ///< null while parked

 private:
  void belong(ngx_http_request_t *r);
  void disown();
  static void destroy(void *data);
  void left(bool forced) noexcept override;
  void writable() noexcept override;
  bool reads() const noexcept override { return reads_client(); }
  void readable() noexcept override;

  std::uint64_t owner_tag_ = 0;
  ngx_event_handler_pt handler_;  // of the connection, while it has a request
  std::unique_ptr<Parked> parked_;
  bool finished_ = false;
};

}  // namespace await::ngx
