#include "curl/client.h"

#include <algorithm>

#include "base/text.h"
#include "curl/transfer.h"

namespace await::curl {
namespace {

constexpr std::size_t kMaxUrl = 128 * 1024;  // await_proxy records 64 KB, and the worker adds a path

bool is_url(std::string_view url) {
  return url.size() <= kMaxUrl &&
         std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Visible characters, spaces and tabs, and bytes beyond ASCII (RFC 9110 §5.5).
bool is_field_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
}

/// Why this request cannot be sent; empty if it can.
std::string objection(const Request &request) {
  if (!is_url(request.url))
    return "the URL has characters that must be encoded, or is too long";
  if (!is_token(request.method) || request.method == "HEAD" || request.method == "CONNECT")
    return "the method cannot be sent";
  for (const auto &[name, value] : request.headers) {
    if (!is_token(name) || !is_field_value(value))
      return "a header has characters that are not allowed in it";
    if (iequals(name, "Content-Length") || iequals(name, "Transfer-Encoding") ||
        iequals(name, "Connection") || iequals(name, "Expect"))
      return "the header " + name + " is not for the caller to set";
  }
  return "";
}

}  // namespace

Client::Client(io::Loop &loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      multi_((curl_global_init(CURL_GLOBAL_DEFAULT), curl_multi_init())) {
  timer_ = loop.timer([this] { act(CURL_SOCKET_TIMEOUT); }, io::Loop::Quit::may);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Client::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Client::on_timer_change);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

Client::~Client() {
  transfers_.clear();
  curl_multi_cleanup(multi_);
  curl_global_cleanup();  // counted: one for each init
}

Result<std::unique_ptr<Exchange>> Client::start(Request request, Listener &listener) {
  if (std::string why = objection(request); !why.empty())
    return Error{Code::invalid, why};
  auto transfer = std::make_unique<Transfer>(*this, loop_, std::move(request), listener);
  CURLcode code = transfer->prepare(options_.guard, options_.ca_file, options_.agent);
  if (code != CURLE_OK)
    return Error{Code::invalid, std::string("the request cannot be sent: ") + curl_easy_strerror(code)};
  auto exchange = std::make_unique<Exchange>(*transfer);
  Inside inside(*this);
  CURLMcode added = curl_multi_add_handle(multi_, transfer->easy());
  transfers_.push_back(std::move(transfer));
  if (added != CURLM_OK)
    return Error{Code::internal, std::string("libcurl: ") + curl_multi_strerror(added)};
  return exchange;
}

/// libcurl says which events it wants of a socket.
int Client::on_socket(CURL *, curl_socket_t fd, int what, void *self, void *) {
  auto &client = *static_cast<Client *>(self);
  if (what == CURL_POLL_REMOVE) {
    client.watches_.erase(fd);
    return 0;
  }
  auto &watch = client.watches_[fd];
  if (!watch)
    watch = client.loop_.watch(fd, [&client, fd] { client.act(fd); });
  if (!watch) {
    client.watches_.erase(fd);
    return -1;
  }
  watch->want((what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
  return 0;
}

int Client::on_timer_change(CURLM *, long ms, void *self) {
  auto &client = *static_cast<Client *>(self);
  if (ms < 0)
    client.timer_->clear();
  else
    client.timer_->set(ms);
  return 0;
}

void Client::act(curl_socket_t fd) {
  {
    Inside inside(*this);
    int running = 0;
    curl_multi_socket_action(multi_, fd, 0, &running);
  }
  settle();
}

void Client::resume(Transfer &transfer) {
  CURLcode code = CURLE_OK;
  {
    Inside inside(*this);
    code = transfer.apply_pauses();
  }
  if (code != CURLE_OK && !transfer.orphaned())  // libcurl would go on without what it has given to us
    take(transfer)->end(code);
  settle();
}

std::unique_ptr<Transfer> Client::take(Transfer &transfer) {
  auto at = std::find_if(transfers_.begin(), transfers_.end(),
                         [&](const auto &one) { return one.get() == &transfer; });
  std::unique_ptr<Transfer> taken = std::move(*at);
  transfers_.erase(at);
  Inside inside(*this);
  curl_multi_remove_handle(multi_, taken->easy());
  return taken;
}

/// Removes a transfer whose exchange is gone; within libcurl, settle() does it later.
void Client::abandon(Transfer &transfer) {
  if (depth_ == 0)
    take(transfer);
}

/// Ends what libcurl has finished, and what was abandoned in its callbacks.
void Client::settle() {
  if (depth_ > 0)
    return;
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    Transfer &transfer = **at++;
    if (transfer.orphaned())
      take(transfer);
  }
  int left = 0;
  while (CURLMsg *message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE)
      continue;
    CURLcode code = message->data.result;
    Transfer *transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    std::unique_ptr<Transfer> taken = take(*transfer);
    taken->end(code);
  }
}

}  // namespace await::curl
