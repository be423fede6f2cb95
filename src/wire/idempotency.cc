#include "wire/idempotency.h"

#include <openssl/evp.h>

#include <new>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::size_t kLongest = 255;

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
}

/// Removes a quoted string from the start of the text.
std::optional<std::string> take_string(std::string_view &text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      text.remove_prefix(i + 1);
      return out;
    }
    if (c == '\\') {
      if (text.size() - i < 2)
        return std::nullopt;
      c = text[++i];
      if (c != '"' && c != '\\')
        return std::nullopt;
    }
    if (c < 0x20 || c > 0x7e)
      return std::nullopt;
    out += c;
  }
  return std::nullopt;
}

std::string take_token(std::string_view &text) {
  std::size_t end = 0;
  while (end < text.size() && is_token_char(text[end]))
    ++end;
  std::string out(text.substr(0, end));
  text.remove_prefix(end);
  return out;
}

/// Removes `;name` or `;name=value` from the start of the text.
bool take_parameter(std::string_view &text) {
  text.remove_prefix(1);
  text = trim(text);
  if (take_token(text).empty())
    return false;
  if (!text.starts_with('='))
    return true;
  text.remove_prefix(1);
  return text.starts_with('"') ? take_string(text).has_value() : !take_token(text).empty();
}

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view field) {
  std::string_view rest = trim(field);
  std::optional<std::string> key = rest.starts_with('"') ? take_string(rest) : take_token(rest);
  if (!key || key->empty() || key->size() > kLongest)
    return std::nullopt;
  for (rest = trim(rest); !rest.empty(); rest = trim(rest)) {
    if (!rest.starts_with(';') || !take_parameter(rest))
      return std::nullopt;
  }
  return key;
}

struct Fingerprint::Digest {
  struct Free {
    void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};

  void start() {
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
      throw std::bad_alloc();
  }
  void feed(std::string_view bytes) {
    if (EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1)
      throw std::bad_alloc();
  }
  std::string finish() {
    std::string out(32, '\0');
    if (EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char *>(out.data()), nullptr) != 1)
      throw std::bad_alloc();
    return out;
  }
};

Fingerprint::Fingerprint() : digest_(std::make_unique<Digest>()) { digest_->start(); }
Fingerprint::~Fingerprint() = default;

void Fingerprint::body(std::string_view bytes) { digest_->feed(bytes); }

std::string Fingerprint::finish(std::initializer_list<std::optional<std::string_view>> parts) {
  std::string body = digest_->finish();
  digest_->start();
  digest_->feed(body);
  for (const auto &part : parts) {  // each with its length, so that different lists have different digests
    digest_->feed(part ? std::to_string(part->size()) + ":" : "-");
    digest_->feed(part.value_or(std::string_view()));
  }
  return digest_->finish();
}

}  // namespace await::wire
