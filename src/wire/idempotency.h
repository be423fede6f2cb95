#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// The value of an `Idempotency-Key`: a structured string (RFC 8941 §3.3.3) of 1 to 255 characters, or, as
/// many clients send it, a bare token. Parameters after it say nothing to us. Nothing where it is neither.
std::optional<std::string> parse_idempotency_key(std::string_view field);

/// What makes two requests the same one: SHA-256 over the parsed parts of a submission, its body fed piece by
/// piece.
class Fingerprint {
 public:
  Fingerprint();
  Fingerprint(const Fingerprint &) = delete;
  Fingerprint &operator=(const Fingerprint &) = delete;
  ~Fingerprint();

  void body(std::string_view bytes);
  /// @param parts  what else tells requests apart; nothing is not the same as empty
  /// @return  32 bytes; throws std::bad_alloc where OpenSSL has no memory
  std::string finish(std::initializer_list<std::optional<std::string_view>> parts);

 private:
  struct Digest;
  std::unique_ptr<Digest> digest_;
};

}  // namespace await::wire
