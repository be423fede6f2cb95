#pragma once

namespace await {

/// The version of the module, await-worker and await-ctl, by semver.org. Nowhere else: await-ctl reads this
/// line, and t/version.t holds CHANGES.md against it.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace await
