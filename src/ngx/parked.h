#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "ngx/nginx.h"

namespace await::ngx {

constexpr std::uint16_t kBehind =
    UINT16_MAX;  ///< a kept variable's value is behind its words, not in the head

/// A connection whose request was given up to save its memory: some hundred bytes keep what an answer
/// needs (the request's head, its place in the configuration, its variables), and a fresh request is made
/// of them when there is something to say. docs/parking.md has what is kept and what is not.
///
/// HTTP/1 only, with and without TLS. Kept alive by: its guest, which the connection's events go to.
class Parked {
 public:
  /// Who waits on the connection. Each call may destroy it.
  class Guest {
   public:
    /// The client has gone, or nginx takes the connection away (`forced`).
    virtual void left(bool forced) noexcept = 0;
    /// It can be written to again, or has timed out.
    virtual void writable() noexcept = 0;
    /// Whether it reads what the client sends, by itself, when told so. Else that stays in the socket, as
    /// what is pipelined does.
    virtual bool reads() const noexcept = 0;
    virtual void readable() noexcept = 0;

   protected:
    ~Guest() = default;
  };

  /// Whether `r` is alone and at rest, so that nobody would miss it.
  /// @param handler  the connection's handler as it was in the content handler: what else stands there now
  ///   is somebody else's
  static bool possible(ngx_http_request_t *r, ngx_event_handler_pt handler);
  /// Frees the request. Not from within its content handler; its read and write handlers may, if they touch
  /// it no more. Null: no memory, the request is as it was.
  static std::unique_ptr<Parked> take(ngx_http_request_t *r, ngx_event_handler_pt handler, Guest &guest);

  /// A request again, as it was before its answer. To be destroyed after. Null: no memory, the connection
  /// is closed.
  ngx_http_request_t *revive();

  ngx_connection_t *connection() const { return connection_; }
  void **loc_conf() const { return loc_conf_; }
  /// Whether its body goes out in chunks (RFC 9112 §7.1).
  bool chunked() const { return chunked_; }

  static void operator delete(void *memory) { ::operator delete(memory); }

 private:
  struct Tail;  // writes and reads what lies behind the object
  Parked() = default;
  static std::unique_ptr<Parked> make(std::size_t tail);
  static void keep_address(std::unique_ptr<Parked> &self, std::size_t size, std::string_view address,
                           std::string_view text);
  static void on_read(ngx_event_t *event) noexcept;
  static void on_write(ngx_event_t *event) noexcept;
  bool parse(ngx_http_request_t *r);
  bool restore(ngx_http_request_t *r);
  void restore_variables(ngx_http_request_t *r, const char *at);
  void restore_address(ngx_http_request_t *r, const char *at);
  void remember_peer(ngx_http_request_t *r);
  const char *tail() const { return reinterpret_cast<const char *>(this + 1); }

  Guest *guest_ = nullptr;
  ngx_connection_t *connection_ = nullptr;
  ngx_http_connection_t *hc_ = nullptr;
  ngx_event_handler_pt handler_ = nullptr;
  void **srv_conf_ = nullptr;
  void **loc_conf_ = nullptr;
  time_t start_sec_ = 0;
  std::uint32_t request_length_ = 0;
  std::uint16_t start_msec_ = 0;
  std::uint32_t head_size_ = 0;    // the tail: head, then what differs from it, then the rest
  std::uint32_t header_size_ = 0;  // of the response, if it is out
  std::uint16_t uri_size_ = 0;     // 0: as the head has it
  std::uint16_t args_size_ = 0;
  std::uint16_t exten_size_ = 0;
  std::uint16_t captures_ = 0;  // how many numbers
  std::uint16_t captures_size_ = 0;
  std::uint16_t variables_ = 0;
  std::uint16_t status_ = 0;  // of the response, if it is out
  std::uint8_t socklen_ = 0;  // 0: the address is the peer's
  std::uint8_t addr_text_size_ = 0;
  unsigned header_sent_ : 1 = 0;
  unsigned chunked_ : 1 = 0;
  unsigned keepalive_ : 1 = 0;
  unsigned lingering_close_ : 1 = 0;
  unsigned internal_ : 1 = 0;
  unsigned error_page_ : 1 = 0;
  unsigned valid_location_ : 1 = 0;
  unsigned rewritten_ : 1 = 0;  // uri, args and exten are in the tail
  unsigned uri_changes_ : 4 = 0;
  unsigned limit_req_status_ : 3 = 0;
  unsigned pipeline_ : 1 = 0;
};

}  // namespace await::ngx
