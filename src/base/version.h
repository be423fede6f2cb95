#pragma once

namespace await {

/// The version of the module, await-worker and await-ctl, by semver.org. tools/await-ctl has it too;
/// t/version.t holds both and CHANGES.md against each other.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace await
