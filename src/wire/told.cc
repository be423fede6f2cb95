#include "wire/told.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

#include "base/text.h"

namespace await::wire {
namespace {

std::optional<std::string> text(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_string(value))
    return std::nullopt;
  return std::string(json_string_value(value), json_string_length(value));
}

std::int64_t number(const json_t *object, const char *name) {
  return json_integer_value(json_object_get(object, name));
}

std::optional<core::JobResult> result_of(const json_t *object, const core::Job &job) {
  core::JobResult result;
  result.status = static_cast<int>(number(object, "status"));
  result.attempt = job.attempt;
  result.type = text(object, "content_type").value_or("application/octet-stream");
  result.name = text(object, "file_name");
  result.size = number(object, "size");
  auto body = text(object, "body");
  auto bytes = body ? from_base64url(*body) : std::nullopt;
  result.inlined = bytes.has_value();
  if (bytes)
    result.body = Bytes(*bytes);
  return result;
}

}  // namespace

bool is_signed(const core::Hint &hint, std::string_view key) {
  auto mac = from_base64url(hint.signature);
  if (!mac || mac->size() != 32 || key.empty())
    return false;
  std::string message;
  message.reserve(hint.head.size() + 1 + hint.payload.size());
  message.append(hint.head).append(" ").append(hint.payload);
  unsigned char expected[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char *>(message.data()), message.size(), expected,
           &size) == nullptr)
    return false;
  return size == mac->size() && CRYPTO_memcmp(expected, mac->data(), size) == 0;
}

std::optional<core::Told> read_told(const core::Hint &hint, std::string_view timeline) {
  std::unique_ptr<json_t, void (*)(json_t *)> root(
      json_loadb(hint.payload.data(), hint.payload.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, nullptr),
      [](json_t *value) { json_decref(value); });
  if (!json_is_object(root.get()) || text(root.get(), "t") != timeline)
    return std::nullopt;
  auto state = core::parse_state(text(root.get(), "state").value_or(""));
  if (!state)
    return std::nullopt;
  const json_t *from = root.get();
  core::Told told;
  core::Job &job = told.job;
  job.id = hint.job;
  job.queue = text(from, "queue").value_or("");
  job.owner = text(from, "owner");
  job.state = *state;
  job.seq = hint.seq;
  job.attempt = static_cast<int>(number(from, "attempt"));
  job.correlation_id = text(from, "correlation_id");
  job.batch = text(from, "batch");
  job.phase = text(from, "phase");
  job.retry_of = text(from, "retry_of");
  job.params = text(from, "params");
  job.progress = text(from, "progress");
  job.created_at = number(from, "created_at");
  job.updated_at = number(from, "at");
  if (*state == core::State::completed)
    job.result = result_of(from, job);
  if (*state == core::State::failed)
    job.error = text(from, "data");

  core::EventPage &page = told.page;
  page.job = hint.job;
  page.owner = job.owner;
  page.correlation_id = job.correlation_id;
  page.created_at = job.created_at;
  page.last_seq = hint.seq;
  page.state = job.state;
  core::Event event;
  event.seq = hint.seq;
  event.type = hint.type;
  event.at = job.updated_at;
  event.data = text(from, "data");
  if (event.type == core::state_name(core::State::completed))
    event.result = job.result;
  page.events.push_back(std::move(event));
  return told;
}

}  // namespace await::wire
