// A seeded simulation of the core under faults. usage: sim [--seed N] [--runs N] [--steps N] [--quiet]
// Each run is one seed; its number decides the profile too: see Run.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/run.h"

int main(int argc, char **argv) {
  std::uint64_t seed = 1;
  std::uint64_t runs = 1;
  std::uint64_t steps = 30'000;
  bool quiet = false;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool more = i + 1 < argc;
    if (word == "--seed" && more)
      seed = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--runs" && more)
      runs = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--steps" && more)
      steps = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--quiet")
      quiet = true;
    else
      return std::fprintf(stderr, "usage: sim [--seed N] [--runs N] [--steps N] [--quiet]\n"), 64;
  }
  await::sim::Totals totals;
  for (std::uint64_t i = 0; i < runs; ++i) {
    await::sim::Run run(seed + i, steps);
    std::string violation = run.go(totals);
    if (violation.empty())
      continue;
    if (!quiet) {
      for (const std::string &line : run.report())
        std::printf("%s\n", line.c_str());
      std::printf("again with: make sim SEED=%llu STEPS=%llu\n", static_cast<unsigned long long>(seed + i),
                  static_cast<unsigned long long>(steps));
    }
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed + i), violation.c_str());
    return 1;
  }
  std::printf("sim: seeds %llu to %llu, no violation: %s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(seed + runs - 1), totals.text().c_str());
  return 0;
}
