#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hint.h"
#include "core/verified_update.h"

namespace await::wire {

/// Verifies signatures of hints: HMAC-SHA256 (RFC 2104) of the whole hint without the signature, with one of
/// several keys. The keys are prepared once, by learn().
class Verifier {
 public:
  Verifier();
  ~Verifier();
  void learn(std::span<const std::string> keys);
  bool is_signed(const core::Hint &hint) const;

 private:
  struct Digests;
  std::vector<Digests> digests_;  // of each key; without keys no hint is valid
};

/// Decodes a signed hint. Empty if it is of another timeline than `timeline`, or of a later version.
std::optional<core::VerifiedUpdate> read_signed_hint(const core::Hint &hint, std::string_view timeline);

}  // namespace await::wire
