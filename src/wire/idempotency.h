#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Parses an `Idempotency-Key`: a structured string (RFC 8941 §3.3.3) of 1 to 255 characters or, as many
/// clients send it, a bare token. Parameters are ignored. Empty if it is neither.
std::optional<std::string> parse_idempotency_key(std::string_view field);

/// Identifies equal submissions: a SHA-256 digest of the parsed parts of a submission. The body is added in
/// pieces.
class Fingerprint {
 public:
  Fingerprint();
  Fingerprint(const Fingerprint &) = delete;
  Fingerprint &operator=(const Fingerprint &) = delete;
  ~Fingerprint();

  void body(std::string_view bytes);
  /// @param parts  other parts to compare; an absent part differs from an empty one
  /// @return 32 bytes. Throws std::bad_alloc if OpenSSL cannot allocate memory
  std::string finish(std::initializer_list<std::optional<std::string_view>> parts);

 private:
  struct Digest;
  std::unique_ptr<Digest> digest_;
};

}  // namespace await::wire
