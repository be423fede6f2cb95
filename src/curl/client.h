#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "curl/address_guard.h"
#include "curl/exchange.h"
#include "io/loop.h"

namespace await::curl {

/// An HTTP client on the event loop: libcurl's multi interface. HTTP/1.1; connections are kept. Never follows
/// a redirect, never uses a proxy or credentials of the environment, decodes nothing, and never blocks, also
/// not for DNS. Bodies of both directions are streamed at the speed of the listener; the memory of an
/// exchange does not grow with them. Outlives its exchanges.
class Client {
 public:
  struct Options {
    AddressGuard guard;
    std::string ca_file;  ///< certificates to trust instead of those of the system
    std::string agent = "nginx-await";
  };

  Client(io::Loop &loop, Options options);
  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;
  ~Client();

  /// Starts a request. The error is that of a request that cannot be sent: a bad URL, method or header. Not
  /// to be called in Listener::on_head(), on_piece() and on_room(), where libcurl is on the stack.
  Result<std::unique_ptr<Exchange>> start(Request request, Listener &listener);
  std::size_t in_flight() const { return transfers_.size(); }

 private:
  friend class Transfer;
  using Transfers = std::list<std::unique_ptr<Transfer>>;

  /// While libcurl is on the stack, no handle may be removed.
  class Inside {
   public:
    explicit Inside(Client &client) : client_(client) { ++client_.depth_; }
    ~Inside() { --client_.depth_; }

   private:
    Client &client_;
  };

  static int on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *socket);
  static int on_timer_change(CURLM *multi, long ms, void *client);
  void act(curl_socket_t fd);
  void resume(Transfer &transfer);
  void abandon(Transfer &transfer);
  void settle();
  std::unique_ptr<Transfer> take(Transfer &transfer);

  io::Loop &loop_;
  Options options_;
  CURLM *multi_;
  std::map<curl_socket_t, std::unique_ptr<io::FdWatcher>> watches_;
  std::unique_ptr<io::Timer> timer_;
  Transfers transfers_;
  int depth_ = 0;
};

}  // namespace await::curl
