#include "curl/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "curl/address_guard.h"
#include "curl/client.h"

namespace await::curl {
namespace {

constexpr long kBuffer = 64 * 1024;  // of libcurl, for each direction

Failure failure_of(CURLcode code, bool refused) {
  switch (code) {
    case CURLE_OK:
      return Failure::none;
    case CURLE_COULDNT_RESOLVE_HOST:
      return Failure::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
      return refused ? Failure::forbidden : Failure::connect;
    case CURLE_OPERATION_TIMEDOUT:
      return Failure::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return Failure::tls;
    case CURLE_OUT_OF_MEMORY:  // it says so of one line of more than 100 KB in the headers
    case CURLE_FILESIZE_EXCEEDED:
      return Failure::too_large;
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9, or no HTTP at all
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return Failure::garbage;
    default:
      return Failure::cut;
  }
}

}  // namespace

Transfer::Transfer(Client &client, io::Loop &loop, Request request, Listener &listener)
    : client_(client),
      loop_(loop),
      request_(std::move(request)),
      listener_(&listener),
      easy_(curl_easy_init()) {}

Transfer::~Transfer() {
  if (exchange_ != nullptr)
    exchange_->transfer_ = nullptr;
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

void Transfer::orphan() {
  listener_ = nullptr;
  exchange_ = nullptr;
  client_.abandon(*this);  // may destroy this
}

void Transfer::ResumeTask::run() noexcept { transfer_.client_.resume(transfer_); }

void Transfer::resume_body() {
  body_paused_ = false;
  if (!resume_task_.linked())
    loop_.post(resume_task_);
}

void Transfer::resume_upload() {
  upload_paused_ = false;
  if (!resume_task_.linked())
    loop_.post(resume_task_);
}

CURLcode Transfer::apply_pauses() {
  return curl_easy_pause(easy_, (body_paused_ ? CURLPAUSE_RECV : 0) | (upload_paused_ ? CURLPAUSE_SEND : 0));
}

CURLcode Transfer::prepare(const AddressGuard &guard, const std::string &ca_file, const std::string &agent) {
  guard_ = &guard;
  if (easy_ == nullptr || !set_headers())
    return CURLE_OUT_OF_MEMORY;
  CURLcode code = curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK)
      code = curl_easy_setopt(easy_, option, value);
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // an abandoned look-up in DNS is not waited for
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");  // not that of the environment, which would connect where the guard cannot see
  set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_USERAGENT, agent.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_ms));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.whole_ms));
  set(CURLOPT_BUFFERSIZE, kBuffer);
  if (request_.connect_only)
    set(CURLOPT_CONNECT_ONLY, 1L);
  if (!ca_file.empty())
    set(CURLOPT_CAINFO, ca_file.c_str());
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_write);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open);
  set(CURLOPT_OPENSOCKETDATA, this);
  set_body();
  return code;
}

void Transfer::set_body() {
  std::int64_t size = upload_size();
  bool has_body = size > 0 || (request_.method != "GET" && request_.method != "DELETE");
  curl_easy_setopt(easy_, has_body ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (!has_body)
    return;
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &Transfer::on_read);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
  curl_easy_setopt(easy_, CURLOPT_SEEKDATA, this);
  curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kBuffer);
}

/// The caller's headers, and without those that libcurl would add of its own accord.
bool Transfer::set_headers() {
  Headers all = request_.headers;
  auto given = [&](std::string_view name) {
    return std::any_of(request_.headers.begin(), request_.headers.end(),
                       [&](const auto &header) { return iequals(header.first, name); });
  };
  auto add = [&](const std::string &line) {
    curl_slist *longer = curl_slist_append(headers_, line.c_str());
    if (longer != nullptr)
      headers_ = longer;
    return longer != nullptr;
  };
  for (const auto &[name, value] : all) {
    // "Name;" is libcurl's way to send an empty value
    if (!add(trim(value).empty() ? name + ";" : name + ": " + value))
      return false;
  }
  for (const char *name : {"Content-Type", "Accept", "Expect"}) {
    if (!given(name) && !add(std::string(name) + ":"))
      return false;
  }
  return true;
}

/// @return false, for the callbacks
bool Transfer::fail(Failure failure, std::string detail) {
  own_ = {failure, std::move(detail)};
  return false;
}

bool Transfer::fail_of_size() {
  return fail(Failure::too_large, "the body has more than " + std::to_string(request_.max_body) + " bytes");
}

std::size_t Transfer::on_header(char *line, std::size_t size, std::size_t n, void *self) noexcept {
  auto &transfer = *static_cast<Transfer *>(self);
  try {
    return !transfer.orphaned() && transfer.take_line({line, size * n}) ? size * n : 0;
  } catch (const std::bad_alloc &) {
    return 0;  // out of memory: it ends as one that was cut
  }
}

/// A line of the head of an interim answer or of the answer, or a trailer.
bool Transfer::take_line(std::string_view line) {
  head_size_ += line.size();
  if (head_size_ > request_.max_head)
    return fail(Failure::too_large,
                "the headers have more than " + std::to_string(request_.max_head) + " bytes");
  if (told_head_)
    return true;  // a trailer
  switch (reader_.feed(line)) {
    case wire::ResponseHead::Step::more:
      return true;
    case wire::ResponseHead::Step::garbage:
      return fail(Failure::garbage, reader_.why());
    case wire::ResponseHead::Step::complete:
      break;
  }
  told_head_ = true;
  body_end_ = reader_.body_size();
  listener_->on_head({reader_.status(), std::move(reader_.headers())});
  if (!orphaned() && !request_.cut_body && body_end_.value_or(0) > request_.max_body)
    return fail_of_size();
  enough_ = answers_early();
  return !orphaned() && !enough_;
}

/// Whether the answer is whole, and the server has not read all of the request: libcurl would go on sending
/// it.
bool Transfer::answers_early() const {
  curl_off_t uploaded = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &uploaded);
  return body_end_ == body_size_ && uploaded < upload_size();
}

std::int64_t Transfer::upload_size() const {
  return request_.streamed.value_or(static_cast<std::int64_t>(request_.body.size()));
}

std::size_t Transfer::on_write(char *bytes, std::size_t size, std::size_t n, void *self) noexcept {
  auto &transfer = *static_cast<Transfer *>(self);
  try {
    return transfer.take_body({bytes, size * n});
  } catch (const std::bad_alloc &) {
    return 0;  // out of memory: it ends as one that was cut
  }
}

std::size_t Transfer::take_body(std::string_view piece) {
  if (orphaned())
    return 0;
  if (body_paused_)
    return CURL_WRITEFUNC_PAUSE;
  std::size_t size = piece.size();
  auto room = static_cast<std::size_t>(request_.max_body - body_size_);
  if (size > room && !request_.cut_body) {
    fail_of_size();
    return 0;
  }
  piece = piece.substr(0, room);
  body_size_ += static_cast<std::int64_t>(piece.size());
  enough_ = size > room || answers_early();
  if (!piece.empty() && !listener_->on_piece(piece))
    body_paused_ = true;
  return enough_ || orphaned() ? 0 : size;
}

std::size_t Transfer::on_read(char *room, std::size_t size, std::size_t n, void *self) noexcept {
  auto &transfer = *static_cast<Transfer *>(self);
  const Request &request = transfer.request_;
  auto most = static_cast<std::size_t>(
      std::min<std::int64_t>(static_cast<std::int64_t>(size * n), transfer.upload_size() - transfer.sent_));
  if (transfer.orphaned())
    return CURL_READFUNC_ABORT;
  if (most == 0)
    return 0;
  std::size_t written = most;
  if (!request.streamed) {
    request.body.copy(room, most, static_cast<std::size_t>(transfer.sent_));
  } else {
    try {
      written = transfer.listener_->on_room(transfer.sent_, {room, most});
    } catch (const std::bad_alloc &) {
      return CURL_READFUNC_ABORT;  // out of memory
    }
    if (transfer.orphaned())
      return CURL_READFUNC_ABORT;
    if (written == 0) {
      transfer.upload_paused_ = true;
      return CURL_READFUNC_PAUSE;
    }
  }
  transfer.sent_ += static_cast<std::int64_t>(written);
  return written;
}

/// Back to the beginning, when a kept connection turned out to be closed.
int Transfer::on_seek(void *self, curl_off_t offset, int origin) noexcept {
  if (origin != SEEK_SET)
    return CURL_SEEKFUNC_FAIL;
  static_cast<Transfer *>(self)->sent_ = offset;
  return CURL_SEEKFUNC_OK;
}

curl_socket_t Transfer::on_open(void *self, curlsocktype, curl_sockaddr *address) noexcept {
  auto &transfer = *static_cast<Transfer *>(self);
  try {
    std::string objection = transfer.guard_->objection(address->addr);
    if (!objection.empty()) {
      transfer.refused_ = std::move(objection);
      return CURL_SOCKET_BAD;
    }
  } catch (const std::bad_alloc &) {
    return CURL_SOCKET_BAD;  // out of memory
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Ending Transfer::ending(CURLcode code) const {
  if (own_.failure != Failure::none)
    return own_;
  if (enough_)
    return {};
  Failure failure = failure_of(code, !refused_.empty());
  if (failure == Failure::none && !told_head_ && !request_.connect_only)
    return {Failure::garbage, "there is no final status"};
  if (failure == Failure::forbidden)
    return {failure, refused_};
  curl_off_t sent_after = 0;
  curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &sent_after);
  if (failure == Failure::timeout && sent_after == 0)
    failure = Failure::connect;
  return {failure,
          failure == Failure::none ? "" : printable(error_[0] != '\0' ? error_ : curl_easy_strerror(code))};
}

void Transfer::end(CURLcode code) {
  if (exchange_ != nullptr)
    exchange_->transfer_ = nullptr;
  exchange_ = nullptr;
  if (Listener *listener = std::exchange(listener_, nullptr))
    listener->on_end(ending(code));
}

}  // namespace await::curl
