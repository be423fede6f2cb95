#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace await::wire {

/// Keys that tokens are verified with. A key is good for the one algorithm of its kind, whatever a token
/// says: secrets HS256, RSA keys RS256, keys on P-256 ES256.
class JwtKeys {
 public:
  /// Takes what a key file holds: PEM (public keys or certificates), a JWK or a JWK set (RFC 7517), or else a
  /// secret of 32 bytes or more.
  /// @return  an error text, or null
  const char *add(std::string_view text);

  struct Key {
    enum Kind { hs256, rs256, es256 } kind;
    std::string id;   ///< `kid`; empty: it has none
    std::string key;  ///< the secret, or PEM
  };
  const std::vector<Key> &all() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

/// The claims of a token that was verified (RFC 7519).
class JwtClaims {
 public:
  explicit JwtClaims(std::string json) : json_(std::move(json)) {}
  /// A string as it is, anything else as JSON; nothing where there is no such claim.
  std::optional<std::string> get(const std::string &claim) const;
  /// Whether the claim is that string, or a list with it.
  bool holds(const std::string &claim, std::string_view value) const;
  /// In seconds; nothing where it is no number.
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

/// Verifies a compact token (RFC 7515): by the keys of its algorithm, and of its `kid` where both have one;
/// `exp` and `nbf` where they are there, and what the rules require.
/// @param why  why not, for logs
std::optional<JwtClaims> verify_jwt(std::string_view token, const JwtKeys &keys, const JwtRules &rules,
                                    std::int64_t now_s, const char *&why);

}  // namespace await::wire
