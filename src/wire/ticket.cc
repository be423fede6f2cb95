#include "wire/ticket.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "base/text.h"
#include "wire/json_list.h"

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

/// An identifier of the key that reveals nothing about it.
std::string name_of(std::string_view key) {
  return base64url(sign("the name of this key", key).substr(0, 6));
}

std::string text_of(const json_t *value) {
  return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : "";
}

using Json = std::unique_ptr<json_t, void (*)(json_t *)>;

std::optional<Ticket> read(const json_t *root) {
  auto id = Uuid::parse(text_of(json_object_get(root, "id")));
  if (!id)
    return std::nullopt;
  Ticket ticket;
  ticket.id = *id;
  ticket.timeline = static_cast<std::uint32_t>(json_integer_value(json_object_get(root, "timeline")));
  ticket.owner = text_of(json_object_get(root, "owner"));
  const json_t *channels = json_object_get(root, "channels");
  for (std::size_t i = 0; i < json_array_size(channels); ++i)
    ticket.channels.push_back(text_of(json_array_get(channels, i)));
  ticket.issued_ms = json_integer_value(json_object_get(root, "issued"));
  ticket.until_ms = json_integer_value(json_object_get(root, "until"));
  ticket.session_s = json_integer_value(json_object_get(root, "session"));
  return ticket;
}

}  // namespace

std::string seal(const Ticket &ticket, std::string_view key) {
  if (key.empty())
    return {};
  JsonList channels;
  for (const std::string &channel : ticket.channels)
    channels.text(channel);
  JsonWriter out;
  out.text("key", name_of(key));
  out.text("id", ticket.id.text());
  out.number("timeline", ticket.timeline);
  out.text("owner", ticket.owner);
  out.made("channels", channels.take());
  out.number("issued", ticket.issued_ms);
  out.number("until", ticket.until_ms);
  out.number("session", ticket.session_s);
  std::string body = base64url(out.take());
  return body + "." + base64url(sign(body, key));
}

Unsealed unseal(std::string_view text, std::span<const std::string> keys) {
  if (text.size() > kMost)
    return {};
  std::string_view mac = text;
  std::string_view body = cut(mac, '.');
  auto given = from_base64url(mac);
  std::string json = from_base64url(body).value_or("");
  Json root(json_loadb(json.data(), json.size(), JSON_ALLOW_NUL, nullptr), json_decref);
  std::string name = text_of(json_object_get(root.get(), "key"));
  if (!given || name.empty())
    return {};
  auto key = std::find_if(keys.begin(), keys.end(),
                          [&](const std::string &one) { return !one.empty() && name_of(one) == name; });
  if (key == keys.end())
    return {Unsealed::Seal::foreign, {}};
  std::string due = sign(body, *key);
  if (given->size() != due.size() || CRYPTO_memcmp(given->data(), due.data(), due.size()) != 0)
    return {};
  auto ticket = read(root.get());
  return ticket ? Unsealed{Unsealed::Seal::good, std::move(*ticket)} : Unsealed{};
}

}  // namespace await::wire
