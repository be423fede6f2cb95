#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace await::wire {

/// Keys to verify tokens. A key is used only for the algorithm of its kind, regardless of what a token says:
/// secrets for HS256, RSA keys for RS256, keys on P-256 for ES256.
class JwtKeys {
 public:
  /// Adds the keys of a key file: PEM (public keys or certificates), a JWK or a JWK set (RFC 7517), or else a
  /// secret of at least 32 bytes.
  /// @return an error message, or null
  const char *add(std::string_view text);

  struct Key {
    enum Kind { hs256, rs256, es256 } kind;
    std::string id;   ///< `kid`; empty if there is none
    std::string key;  ///< the secret, or PEM
  };
  const std::vector<Key> &all() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

/// The claims of a verified token (RFC 7519).
class JwtClaims {
 public:
  explicit JwtClaims(std::string json) : json_(std::move(json)) {}
  /// The value of a claim: a string as it is, anything else as JSON. Empty if there is no such claim.
  std::optional<std::string> get(const std::string &claim) const;
  /// Whether the claim is this string, or a list that contains it.
  bool holds(const std::string &claim, std::string_view value) const;
  /// The claim as a time in seconds. Empty if it is not a number.
  std::optional<std::int64_t> time(const std::string &claim) const;

 private:
  std::string json_;
};

struct JwtRules {
  struct Claim {
    std::string name;
    std::string value;
  };
  std::vector<Claim> require;
  std::int64_t leeway_s = 30;
};

/// Verifies a compact token (RFC 7515): its signature, with the keys of its algorithm, and with the same
/// `kid` if both have one; `exp` and `nbf` if present; and the required claims. Empty if it is not valid.
/// @param why  set to the reason, for logs
std::optional<JwtClaims> verify_jwt(std::string_view token, const JwtKeys &keys, const JwtRules &rules,
                                    std::int64_t now_s, const char *&why);

}  // namespace await::wire
