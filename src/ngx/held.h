#pragma once

#include <cstdint>
#include <memory>

#include "base/list.h"
#include "ngx/answer.h"
#include "ngx/nginx.h"
#include "ngx/parked.h"

namespace await::ngx {

struct IsHeld {};

/// A client that waits: at first with its request, and later, if possible, as a parked connection.
///
/// Kept alive by: the pool of the request, whose cleanup destroys it; while parked, by itself. When the
/// client leaves, this object is destroyed, and with it everything that it waits for.
class Held : public Hook<IsHeld>, private Parked::Owner {
 public:
  explicit Held(ngx_http_request_t *r);
  virtual ~Held() = default;

  /// Creates a T for `r` with the lifetime described above. Throws std::bad_alloc.
  template <class T, class... Args>
  static T *make(ngx_http_request_t *r, Args &&...args) {
    std::unique_ptr<T> made(new T(r, std::forward<Args>(args)...));
    made->belong(r);
    return made.release();
  }

  /// Detaches the object that holds the request, which is answered in another way.
  static void forsake(ngx_http_request_t *r) noexcept;

  /// nginx is shutting down: answer soon.
  virtual void drain() = 0;
  /// The time for drain() is over: the last chance to answer.
  virtual void give_up() = 0;
  /// The owner was revoked (await.revoke()): end a live connection.
  virtual void revoke() {}
  /// A digest of the owner, to find the clients of an owner; 0: no owner.
  std::uint64_t owner_tag() const { return owner_tag_; }
  void set_owner_tag(std::uint64_t tag) { owner_tag_ = tag; }
  /// The request; null while parked.
  ngx_http_request_t *request() const { return r_; }
  /// Closes the connection, even if data is still to be sent. Usually destroys this. Call from an event of
  /// this module only.
  void cut();
  bool finished() const { return finished_; }
  bool parked() const { return parked_ != nullptr; }

 protected:
  /// Keeps the request after the content handler has returned; the handler must return the result. If the
  /// body was not read completely, the rest is discarded.
  Answer hold();
  /// Starts to detect that the client leaves. Call when nothing more is read from it.
  void watch_client();
  /// Parks the connection and frees the request, if possible; `r_` is null then. Must not be called from
  /// within the content handler.
  bool park();
  /// Restores the request if the connection was parked. Returns false if there is no memory: then the client
  /// has been disconnected and this destroyed.
  bool revive();
  /// Called when the request has been restored.
  virtual void on_revive() {}
  /// Called while parked when the connection is writable or has timed out.
  virtual void on_parked_writable() {}
  /// Whether this reads from the client. If so, on_parked_readable() is called while parked when there is
  /// data.
  virtual bool reads_client() const { return false; }
  virtual void on_parked_readable() {}
  ngx_connection_t *connection() const { return r_ != nullptr ? r_->connection : parked_->connection(); }
  const ngx_http_core_loc_conf_t &core_conf() const {
    void **conf = r_ != nullptr ? r_->loc_conf : parked_->loc_conf();
    return *static_cast<ngx_http_core_loc_conf_t *>(conf[ngx_http_core_module.ctx_index]);
  }
  bool chunked() const { return r_ != nullptr ? r_->chunked : parked_->chunked(); }

  /// Cancels everything that this waits for. The request may live on: nginx may still write to a slow client,
  /// or linger.
  virtual void leave() = 0;
  /// Calls leave() and ends the request. Usually destroys this: do not access it afterwards.
  void finish(Answer answer);
  /// The same from within the content handler, which must return the result.
  Answer decline(Answer answer);

  ngx_http_request_t *r_;  ///< null while parked

 private:
  void belong(ngx_http_request_t *r);
  void disown();
  static void destroy(void *data);
  void on_disconnect(bool forced) noexcept override;
  void on_writable() noexcept override;
  bool reads_input() const noexcept override { return reads_client(); }
  void on_readable() noexcept override;

  std::uint64_t owner_tag_ = 0;
  ngx_event_handler_pt handler_;  // handler of the connection, while there is a request
  std::unique_ptr<Parked> parked_;
  bool finished_ = false;
};

}  // namespace await::ngx
