#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/hint.h"
#include "core/told.h"

namespace await::wire {

/// Knows whether a hint was signed with a key: HMAC-SHA256 (RFC 2104) over all of it but the signature. The
/// key is worked in once.
class Verifier {
 public:
  Verifier();
  ~Verifier();
  void learn(std::string_view key);
  bool is_signed(const core::Hint &hint) const;

 private:
  struct Digests;
  std::unique_ptr<Digests> digests_;  // null: no key yet, and nothing is signed
};

/// What a signed hint says. Nothing where it is of another line of history than `timeline`, or of a later
/// version.
std::optional<core::Told> read_told(const core::Hint &hint, std::string_view timeline);

}  // namespace await::wire
