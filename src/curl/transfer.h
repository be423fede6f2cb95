#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "curl/exchange.h"
#include "io/loop.h"
#include "wire/response_head.h"

namespace await::curl {

class AddressGuard;
class Client;

/// The part of an exchange that libcurl knows: an easy handle, and what its callbacks need.
/// Kept alive by: Client, until libcurl has let go of it.
class Transfer {
 public:
  Transfer(Client &client, io::Loop &loop, Request request, Listener &listener);
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;
  ~Transfer();

  /// Sets all options. @return libcurl's error: the request cannot be sent
  CURLcode prepare(const AddressGuard &guard, const std::string &ca_file, const std::string &agent);
  CURL *easy() { return easy_; }
  void bind(Exchange *exchange) { exchange_ = exchange; }
  /// Nobody wants to hear of it any more.
  void orphan();
  bool orphaned() const { return listener_ == nullptr; }
  void resume_body();
  void resume_upload();
  /// Tells libcurl what resume_*() has changed. @return an error: a callback of ours has ended it
  CURLcode apply_pauses();
  /// libcurl has finished: the last call to the listener, which may destroy the exchange.
  void end(CURLcode code);

 private:
  friend class Exchange;

  class ResumeTask : public io::Task {
   public:
    explicit ResumeTask(Transfer &transfer) : transfer_(transfer) {}
    void run() noexcept override;

   private:
    Transfer &transfer_;
  };

  static std::size_t on_header(char *line, std::size_t size, std::size_t n, void *self) noexcept;
  static std::size_t on_write(char *bytes, std::size_t size, std::size_t n, void *self) noexcept;
  static std::size_t on_read(char *room, std::size_t size, std::size_t n, void *self) noexcept;
  static int on_seek(void *self, curl_off_t offset, int origin) noexcept;
  static curl_socket_t on_open(void *self, curlsocktype purpose, curl_sockaddr *address) noexcept;

  bool take_line(std::string_view line);
  std::size_t take_body(std::string_view piece);
  bool fail(Failure failure, std::string detail);
  bool fail_of_size();
  bool answers_early() const;
  std::int64_t upload_size() const;
  void set_body();
  bool set_headers();
  Ending ending(CURLcode code) const;

  Client &client_;
  io::Loop &loop_;
  Request request_;
  Listener *listener_;
  Exchange *exchange_ = nullptr;
  const AddressGuard *guard_ = nullptr;
  CURL *easy_;
  curl_slist *headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  wire::ResponseHead reader_;
  bool told_head_ = false;
  std::size_t head_size_ = 0;
  std::int64_t body_size_ = 0;
  std::optional<std::int64_t> body_end_;  // the size of the body, if the head says it
  std::int64_t sent_ = 0;
  bool body_paused_ = false;
  bool upload_paused_ = false;
  bool enough_ = false;  // the body was cut, as asked, or nobody reads the rest of the request
  std::string refused_;  // the guard's last objection
  Ending own_;           // why a callback of ours has ended it
  ResumeTask resume_task_{*this};
};

}  // namespace await::curl
