#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "ngx/nginx.h"

namespace await::ngx {

// Where the value of a saved variable is, if it is not in the header: it follows the variable's fields, as it
// is, or as bytes of which it is the hexadecimal form, as $request_id is.
constexpr std::uint16_t kBehind = UINT16_MAX;
constexpr std::uint16_t kBehindHex = UINT16_MAX - 1;

/// A connection whose request was freed to save memory. A few hundred bytes keep what is needed to answer
/// (the header of the request, its location, its variables), and a new request is made from them when there
/// is something to send. docs/parking.md describes what is kept and what is not.
///
/// HTTP/1 only, with and without TLS. Kept alive by: its owner, which gets the events of the connection.
class Parked {
 public:
  /// The owner that waits on the connection. Each call of an event may destroy it, and the Parked with it.
  class Owner {
   public:
    /// The client has disconnected, or nginx closes the connection (`forced`).
    virtual void on_disconnect(bool forced) noexcept = 0;
    /// The connection is writable, or its write timer has expired.
    virtual void on_writable() noexcept = 0;
    /// Whether the owner reads what the client sends, when on_readable() is called. Otherwise the data stays
    /// in the socket, as pipelined requests do.
    virtual bool reads_input() const noexcept = 0;
    virtual void on_readable() noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// Whether `r` can be freed: nothing else uses it, and nothing is in progress.
  /// @param handler  the handler of the connection as it was in the content handler; if it is another one
  ///   now, another module uses the request
  static bool possible(ngx_http_request_t *r, ngx_event_handler_pt handler);
  /// Frees the request. Must not be called from within its content handler. Its read and write handlers may
  /// call it if they do not access the request afterwards. Returns null if there is no memory; then the
  /// request is unchanged.
  static std::unique_ptr<Parked> take(ngx_http_request_t *r, ngx_event_handler_pt handler, Owner &owner);

  /// Restores the request, in the state before its response. Destroy this object afterwards. Returns null if
  /// there is no memory; then the connection has been closed.
  ngx_http_request_t *revive();

  ngx_connection_t *connection() const { return connection_; }
  void **loc_conf() const { return loc_conf_; }
  /// Whether the response body is chunked (RFC 9112 §7.1).
  bool chunked() const { return chunked_; }

  static void operator delete(void *memory) { ::operator delete(memory); }

 private:
  struct Tail;  // writes and reads the data that follows the object in memory
  Parked() = default;
  struct Layout;  // how much of what follows the object in memory
  static Layout layout_of(ngx_http_request_t *r);
  static std::unique_ptr<Parked> make(std::size_t tail);
  void save_fields(ngx_http_request_t *r);
  void save_tail(ngx_http_request_t *r, const Layout &layout);
  static void free_request(ngx_http_request_t *r);
  void take_events();
  static void keep_address(std::unique_ptr<Parked> &self, std::size_t size, std::string_view address,
                           std::string_view text);
  static void on_read(ngx_event_t *event) noexcept;
  static void on_write(ngx_event_t *event) noexcept;
  bool parse(ngx_http_request_t *r);
  bool restore(ngx_http_request_t *r);
  void restore_fields(ngx_http_request_t *r);
  const char *restore_uri(ngx_http_request_t *r, const char *at);
  const char *restore_captures(ngx_http_request_t *r, const char *at);
  void restore_variables(ngx_http_request_t *r, const char *at);
  void restore_address(ngx_http_request_t *r, const char *at);
  void remember_peer(ngx_http_request_t *r);
  const char *tail() const { return reinterpret_cast<const char *>(this + 1); }

  Owner *owner_ = nullptr;
  ngx_connection_t *connection_ = nullptr;
  ngx_http_connection_t *hc_ = nullptr;
  ngx_event_handler_pt handler_ = nullptr;
  void **srv_conf_ = nullptr;
  void **loc_conf_ = nullptr;
  time_t start_sec_ = 0;
  std::uint32_t request_length_ = 0;
  std::uint16_t start_msec_ = 0;
  std::uint32_t head_size_ =
      0;  // of the header, the first part of the tail; then what differs, then the rest
  std::uint32_t header_size_ = 0;  // of the response, if it is out
  std::uint16_t uri_size_ = 0;     // 0: as in the header
  std::uint16_t args_size_ = 0;
  std::uint16_t exten_size_ = 0;
  std::uint16_t captures_ = 0;  // number of elements
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
