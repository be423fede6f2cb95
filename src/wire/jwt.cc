#include "wire/jwt.h"

#include <jansson.h>
#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmath>
#include <cstdlib>
#include <memory>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::size_t kMostToken = 8192;
constexpr std::size_t kLeastSecret = 32;  // RFC 7518 §3.2
constexpr int kLeastRsaBits = 2048;       // RFC 7518 §3.3

template <auto Free>
struct With {
  template <class T>
  void operator()(T *object) const {
    Free(object);
  }
};
using Json = std::unique_ptr<json_t, With<json_decref>>;
using Pkey = std::unique_ptr<EVP_PKEY, With<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, With<BIO_free_all>>;
using Number = std::unique_ptr<BIGNUM, With<BN_free>>;
using Kind = JwtKeys::Key::Kind;

constexpr const char *kNames[] = {"HS256", "RS256", "ES256"};
constexpr jwt_alg_t kAlgorithms[] = {JWT_ALG_HS256, JWT_ALG_RS256, JWT_ALG_ES256};

Json parse(std::string_view text) {
  return Json(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
}

std::optional<std::string> text_of(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_string(value))
    return std::nullopt;
  return std::string(json_string_value(value), json_string_length(value));
}

/// Sets the kind of the key, or returns why it cannot be used.
const char *check(EVP_PKEY *key, Kind &kind) {
  if (EVP_PKEY_is_a(key, "RSA")) {
    kind = Kind::rs256;
    return EVP_PKEY_get_bits(key) < kLeastRsaBits ? "an RSA key has fewer than 2048 bits" : nullptr;
  }
  char group[64] = "";
  std::size_t length = 0;
  if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
      std::string_view(group) == "prime256v1") {
    kind = Kind::es256;
    return nullptr;
  }
  return "a key is neither RSA nor on the curve P-256";
}

std::string pem_of(EVP_PKEY *key) {
  Bio out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PUBKEY(out.get(), key) != 1)
    return {};
  char *data = nullptr;
  long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Number number_of(const json_t *jwk, const char *name) {
  std::string bytes = from_base64url(text_of(jwk, name).value_or("")).value_or("");
  if (bytes.empty())
    return nullptr;
  const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
  return Number(BN_bin2bn(data, static_cast<int>(bytes.size()), nullptr));
}

/// Builds the key from its parameters; null if they are not valid.
Pkey build(const char *type, OSSL_PARAM_BLD *parts) {
  std::unique_ptr<OSSL_PARAM, With<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(parts));
  std::unique_ptr<EVP_PKEY_CTX, With<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY *key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return nullptr;
  return Pkey(key);
}

Pkey rsa_of(const json_t *jwk) {
  Number n = number_of(jwk, "n");
  Number e = number_of(jwk, "e");
  std::unique_ptr<OSSL_PARAM_BLD, With<OSSL_PARAM_BLD_free>> parts(OSSL_PARAM_BLD_new());
  bool whole = n && e && parts && OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
               OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1;
  return whole ? build("RSA", parts.get()) : nullptr;
}

Pkey ec_of(const json_t *jwk) {
  auto x = from_base64url(text_of(jwk, "x").value_or(""));
  auto y = from_base64url(text_of(jwk, "y").value_or(""));
  if (text_of(jwk, "crv") != "P-256" || !x || !y || x->size() != 32 || y->size() != 32)
    return nullptr;
  std::string point = "\x04" + *x + *y;
  std::unique_ptr<OSSL_PARAM_BLD, With<OSSL_PARAM_BLD_free>> parts(OSSL_PARAM_BLD_new());
  bool whole =
      parts &&
      OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
      OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1;
  return whole ? build("EC", parts.get()) : nullptr;
}

const char *read_jwk(const json_t *jwk, JwtKeys::Key &key) {
  key.id = text_of(jwk, "kid").value_or("");
  auto type = text_of(jwk, "kty");
  auto alg = text_of(jwk, "alg");
  if (type == "oct") {
    auto secret = from_base64url(text_of(jwk, "k").value_or(""));
    if (!secret || secret->size() < kLeastSecret)
      return "a secret has fewer than 32 bytes";
    key.kind = Kind::hs256;
    key.key = *secret;
  } else {
    Pkey made = type == "RSA" ? rsa_of(jwk) : type == "EC" ? ec_of(jwk) : nullptr;
    if (!made)
      return "a JWK is neither a secret, an RSA key nor a key on the curve P-256";
    if (const char *why = check(made.get(), key.kind))
      return why;
    key.key = pem_of(made.get());
  }
  return alg && *alg != kNames[key.kind]
             ? "the \"alg\" of a JWK is not HS256, RS256 or ES256, or does not match its key type"
             : nullptr;
}

const char *read_pem(std::string_view text, std::vector<JwtKeys::Key> &keys) {
  if (text.find("PRIVATE KEY-----") != text.npos)
    return "it contains a private key, tokens are verified with the public key";
  Bio in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::size_t before = keys.size();
  bool certificates = text.find("-----BEGIN CERTIFICATE-----") != text.npos;
  while (true) {
    Pkey key;
    if (certificates) {
      std::unique_ptr<X509, With<X509_free>> certificate(
          PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
      key.reset(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
    } else {
      key.reset(PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr));
    }
    if (!key)
      break;
    Kind kind = Kind::rs256;
    if (const char *why = check(key.get(), kind))
      return why;
    keys.push_back({kind, "", pem_of(key.get())});
  }
  return keys.size() > before ? nullptr : "it contains no public key";
}

bool is_compact(std::string_view token) {
  int dots = 0;
  for (char c : token) {
    bool url =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    dots += c == '.' ? 1 : 0;
    if (!url && c != '.')
      return false;
  }
  return dots == 2;
}

bool is_signed(const std::string &token, const JwtKeys::Key &key) {
  jwt_t *decoded = nullptr;
  int rc = jwt_decode(&decoded, token.c_str(), reinterpret_cast<const unsigned char *>(key.key.data()),
                      static_cast<int>(key.key.size()));
  std::unique_ptr<jwt_t, With<jwt_free>> jwt(rc == 0 ? decoded : nullptr);
  return jwt && jwt_get_alg(jwt.get()) == kAlgorithms[key.kind];
}

}  // namespace

const char *JwtKeys::add(std::string_view text) {
  std::string_view trimmed = text;
  while (!trimmed.empty() && std::string_view(" \t\r\n").find(trimmed.front()) != text.npos)
    trimmed.remove_prefix(1);
  if (trimmed.find("-----BEGIN ") != trimmed.npos)
    return read_pem(trimmed, keys_);
  if (!trimmed.starts_with('{')) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
      text.remove_suffix(1);
    if (text.size() < kLeastSecret)
      return "a secret has fewer than 32 bytes";
    keys_.push_back({Key::hs256, "", std::string(text)});
    return nullptr;
  }
  Json json = parse(trimmed);
  if (!json_is_object(json.get()))
    return "invalid JSON";
  json_t *set = json_object_get(json.get(), "keys");
  std::size_t n = json_is_array(set) ? json_array_size(set) : 1;
  if (n == 0)
    return "it contains no key";
  for (std::size_t i = 0; i < n; ++i) {
    const json_t *jwk = json_is_array(set) ? json_array_get(set, i) : json.get();
    auto use = text_of(jwk, "use");
    if (use && *use != "sig")
      continue;  // a key for encryption
    Key key;
    if (const char *why = read_jwk(jwk, key))
      return why;
    keys_.push_back(std::move(key));
  }
  return nullptr;
}

std::optional<std::string> JwtClaims::get(const std::string &claim) const {
  Json json = parse(json_);
  const json_t *value = json_object_get(json.get(), claim.c_str());
  if (value == nullptr || json_is_null(value))
    return std::nullopt;
  if (auto text = text_of(json.get(), claim.c_str()))
    return text;
  std::unique_ptr<char, With<std::free>> dumped(json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY));
  return dumped ? std::optional<std::string>(dumped.get()) : std::nullopt;
}

bool JwtClaims::holds(const std::string &claim, std::string_view value) const {
  if (get(claim) == value)
    return true;
  Json json = parse(json_);
  const json_t *list = json_object_get(json.get(), claim.c_str());
  for (std::size_t i = 0; i < json_array_size(list); ++i) {
    const json_t *one = json_array_get(list, i);
    if (json_is_string(one) && std::string_view(json_string_value(one), json_string_length(one)) == value)
      return true;
  }
  return false;
}

std::optional<std::int64_t> JwtClaims::time(const std::string &claim) const {
  Json json = parse(json_);
  const json_t *value = json_object_get(json.get(), claim.c_str());
  double seconds = json_is_number(value) ? json_number_value(value) : NAN;
  if (!(std::fabs(seconds) < 1e15))
    return std::nullopt;
  return static_cast<std::int64_t>(std::floor(seconds));
}

std::optional<JwtClaims> verify_jwt(std::string_view token, const JwtKeys &keys, const JwtRules &rules,
                                    std::int64_t now_s, const char *&why) {
  auto refuse = [&](const char *reason) {
    why = reason;
    return std::nullopt;
  };
  if (token.size() > kMostToken)
    return refuse("longer than 8 KB");
  if (!is_compact(token))
    return refuse("not in the form header.claims.signature");
  std::string_view rest = token;
  auto head = from_base64url(cut(rest, '.'));
  auto body = from_base64url(cut(rest, '.'));
  Json header = head ? parse(*head) : nullptr;
  if (!json_is_object(header.get()) || !body)
    return refuse("the header is not valid JSON");
  if (json_object_get(header.get(), "crit") != nullptr)
    return refuse("the header has critical extensions");
  auto alg = text_of(header.get(), "alg");
  std::string id = text_of(header.get(), "kid").value_or("");
  bool tried = false;
  bool good = false;
  std::string text(token);
  for (const JwtKeys::Key &key : keys.all()) {
    // the key determines the algorithm, and that of the token must be the same
    if (alg != kNames[key.kind] || (!id.empty() && !key.id.empty() && id != key.id))
      continue;
    tried = true;
    good = good || is_signed(text, key);
  }
  if (!tried)
    return refuse("no key matches its algorithm and key id");
  if (!good)
    return refuse("invalid signature");
  if (Json json = parse(*body); !json_is_object(json.get()))
    return refuse("the claims are not valid JSON");
  JwtClaims claims(std::move(*body));
  for (const char *name : {"exp", "nbf"}) {
    if (claims.get(name) && !claims.time(name))
      return refuse("\"exp\" or \"nbf\" is not a number");
  }
  if (auto expires = claims.time("exp"); expires && *expires + rules.leeway_s <= now_s)
    return refuse("expired");
  if (auto begins = claims.time("nbf"); begins && *begins - rules.leeway_s > now_s)
    return refuse("not valid yet");
  for (const JwtRules::Claim &claim : rules.require) {
    if (!claims.holds(claim.name, claim.value))
      return refuse("a required claim is missing or different");
  }
  return claims;
}

}  // namespace await::wire
