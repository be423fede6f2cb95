#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/text.h"
#include "cli/secrets.h"

namespace await::cli {

std::optional<int> parse_arguments(CLI::App &app, int argc, char **argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);  // --help, --version
    std::fprintf(stderr, "%s: %s\nRun with --help for more information.\n", app.get_name().c_str(),
                 printable(repair_text(without_arguments(error.what(), argc, argv))).c_str());
    return kUsage;
  }
  hide_arguments(argc, argv);
  return std::nullopt;
}

}  // namespace await::cli
