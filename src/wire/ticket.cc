#include "wire/ticket.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>
#include <new>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

constexpr std::size_t kMost = 8192;
constexpr std::string_view kPurpose = "await ticket ";  // hints are signed with the same key

std::string sign(std::string_view body, std::string_view key) {
  std::string text = std::string(kPurpose).append(body);
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char *>(text.data()), text.size(), sum, &size) == nullptr)
    throw std::bad_alloc();
  return {reinterpret_cast<char *>(sum), size};
}

std::string text_of(const json_t *value) {
  return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : "";
}

}  // namespace

std::string seal(const Ticket &ticket, std::string_view key) {
  if (key.empty())
    return {};
  std::string channels;
  for (const std::string &channel : ticket.channels)
    channels += (channels.empty() ? "" : ",") + json_string(channel);
  JsonWriter out;
  out.text("id", ticket.id.text());
  out.text("owner", ticket.owner);
  out.made("channels", "[" + channels + "]");
  out.number("issued", ticket.issued_ms);
  out.number("until", ticket.until_ms);
  out.number("session", ticket.session_s);
  std::string body = base64url(out.take());
  return body + "." + base64url(sign(body, key));
}

std::optional<Ticket> unseal(std::string_view text, std::string_view key) {
  if (key.empty() || text.size() > kMost)
    return std::nullopt;
  std::string_view mac = text;
  std::string_view body = cut(mac, '.');
  auto given = from_base64url(mac);
  std::string due = sign(body, key);
  if (!given || given->size() != due.size() || CRYPTO_memcmp(given->data(), due.data(), due.size()) != 0)
    return std::nullopt;
  std::string json = from_base64url(body).value_or("");
  std::unique_ptr<json_t, void (*)(json_t *)> root(
      json_loadb(json.data(), json.size(), JSON_ALLOW_NUL, nullptr), json_decref);
  auto id = Uuid::parse(text_of(json_object_get(root.get(), "id")));
  if (!id)
    return std::nullopt;
  Ticket ticket;
  ticket.id = *id;
  ticket.owner = text_of(json_object_get(root.get(), "owner"));
  const json_t *channels = json_object_get(root.get(), "channels");
  for (std::size_t i = 0; i < json_array_size(channels); ++i)
    ticket.channels.push_back(text_of(json_array_get(channels, i)));
  ticket.issued_ms = json_integer_value(json_object_get(root.get(), "issued"));
  ticket.until_ms = json_integer_value(json_object_get(root.get(), "until"));
  ticket.session_s = json_integer_value(json_object_get(root.get(), "session"));
  return ticket;
}

}  // namespace await::wire
