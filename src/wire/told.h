#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hint.h"
#include "core/told.h"

namespace await::wire {

/// Knows whether a hint was signed with one of some keys: HMAC-SHA256 (RFC 2104) over all of it but the
/// signature. The keys are worked in once.
class Verifier {
 public:
  Verifier();
  ~Verifier();
  void learn(std::span<const std::string> keys);
  bool is_signed(const core::Hint &hint) const;

 private:
  struct Digests;
  std::vector<Digests> digests_;  // of each key; none yet: nothing is signed
};

/// What a signed hint says. Nothing where it is of another line of history than `timeline`, or of a later
/// version.
std::optional<core::Told> read_told(const core::Hint &hint, std::string_view timeline);

}  // namespace await::wire
