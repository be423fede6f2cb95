#include "wire/signed_hint.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
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

namespace {

struct FreeDigest {
  void operator()(EVP_MD_CTX *digest) const { EVP_MD_CTX_free(digest); }
};
using Digest = std::unique_ptr<EVP_MD_CTX, FreeDigest>;
constexpr std::size_t kBlock = 64;
constexpr std::size_t kSize = 32;

bool take(EVP_MD_CTX *digest, std::string_view bytes) {
  return EVP_DigestUpdate(digest, bytes.data(), bytes.size()) == 1;
}

}  // namespace

/// The two digests of HMAC after their pads, and contexts to continue from them.
struct Verifier::Digests {
  Digest inner{EVP_MD_CTX_new()};
  Digest outer{EVP_MD_CTX_new()};
  Digest work{EVP_MD_CTX_new()};

  bool begin(std::string_view key);
  bool is_of(const core::Hint &hint, std::string_view mac) const;
};

Verifier::Verifier() = default;
Verifier::~Verifier() = default;

bool Verifier::Digests::begin(std::string_view key) {
  if (key.empty() || key.size() > kBlock || !inner || !outer || !work)
    return false;
  std::string inner_pad(kBlock, '\x36');
  std::string outer_pad(kBlock, '\x5c');
  for (std::size_t i = 0; i < key.size(); ++i) {
    inner_pad[i] = static_cast<char>(inner_pad[i] ^ key[i]);
    outer_pad[i] = static_cast<char>(outer_pad[i] ^ key[i]);
  }
  return EVP_DigestInit_ex(inner.get(), EVP_sha256(), nullptr) == 1 && take(inner.get(), inner_pad) &&
         EVP_DigestInit_ex(outer.get(), EVP_sha256(), nullptr) == 1 && take(outer.get(), outer_pad);
}

void Verifier::learn(std::span<const std::string> keys) {
  digests_.clear();
  for (const std::string &key : keys) {
    Digests made;
    if (made.begin(key))
      digests_.push_back(std::move(made));
  }
}

bool Verifier::is_signed(const core::Hint &hint) const {
  auto mac = digests_.empty() ? std::nullopt : from_base64url(hint.signature);
  return mac && mac->size() == kSize &&
         std::any_of(digests_.begin(), digests_.end(),
                     [&](const Digests &one) { return one.is_of(hint, *mac); });
}

bool Verifier::Digests::is_of(const core::Hint &hint, std::string_view mac) const {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return EVP_MD_CTX_copy_ex(work.get(), inner.get()) == 1 && take(work.get(), hint.head) &&
         take(work.get(), " ") && take(work.get(), hint.payload) &&
         EVP_DigestFinal_ex(work.get(), sum, &size) == 1 &&
         EVP_MD_CTX_copy_ex(work.get(), outer.get()) == 1 &&
         take(work.get(), {reinterpret_cast<char *>(sum), size}) &&
         EVP_DigestFinal_ex(work.get(), sum, &size) == 1 && CRYPTO_memcmp(sum, mac.data(), kSize) == 0;
}

std::optional<core::VerifiedUpdate> read_signed_hint(const core::Hint &hint, std::string_view timeline) {
  std::unique_ptr<json_t, void (*)(json_t *)> root(
      json_loadb(hint.payload.data(), hint.payload.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, nullptr),
      [](json_t *value) { json_decref(value); });
  if (!json_is_object(root.get()) || text(root.get(), "t") != timeline)
    return std::nullopt;
  auto state = core::parse_state(text(root.get(), "state").value_or(""));
  if (!state)
    return std::nullopt;
  const json_t *from = root.get();
  core::VerifiedUpdate update;
  core::Job &job = update.job;
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
  if (*state == core::State::pending)
    job.waiting = text(from, "data");

  core::EventPage &page = update.page;
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
  return update;
}

}  // namespace await::wire
