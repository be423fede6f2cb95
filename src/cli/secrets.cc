#include "cli/secrets.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/redact.h"
#include "base/text.h"

namespace await::cli {
namespace {

constexpr std::string_view kAddresses[] = {"AWAIT_POSTGRES", "AWAIT_WAL_POSTGRES", "AWAIT_REDIS",
                                           "AWAIT_SINKS",    "AWAIT_FROM",         "REDISCLI_AUTH"};

bool may_hold_password(std::string_view argument) {
  return argument.find('@') != std::string_view::npos || argument.find('=') != std::string_view::npos ||
         lower(argument).find("pass") != std::string::npos;
}

/// The part of argv[i] that is, or may be, an address with a password, even if misplaced; null if there is
/// none.
char *address_in(char **argv, int i) {
  for (const char *option : {"--postgres", "--wal-postgres", "--redis"}) {
    if (i > 0 && std::strcmp(argv[i - 1], option) == 0)
      return argv[i];
  }
  char *value = argv[i];
  if (value[0] == '-') {
    value = std::strchr(value, '=');
    if (value == nullptr)
      return nullptr;
    ++value;
  }
  return may_hold_password(value) ? value : nullptr;
}

}  // namespace

Result<std::string> read_address(const std::string &given) {
  if (!given.starts_with('@'))
    return given;
  std::string path = given.substr(1);
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file)
    return Error{Code::invalid, "cannot read " + path + ": " + std::strerror(errno)};
  char line[8192];
  if (std::fgets(line, sizeof line, file.get()) == nullptr)
    return Error{Code::invalid, path + " is empty"};
  std::string_view text(line);
  return std::string(trim(text.substr(0, text.find_first_of("\r\n"))));
}

void hide_arguments(int argc, char **argv) {
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    char *address = address_in(argv, i);
    if (address == nullptr || address[0] == '@')
      continue;
    std::string told = redact(address);
    told.resize(std::strlen(address), '\0');
    std::copy(told.begin(), told.end(), address);
  }
}

std::string without_arguments(std::string message, int argc, char **argv) {
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    if (may_hold_password(argv[i]))
      message = scrub(std::move(message), argv[i]);
  }
  return message;
}

std::vector<std::string> withheld_variables(const std::vector<std::string> &passwords,
                                            const std::vector<std::string> &passed) {
  std::vector<std::string> out;
  for (char **entry = environ; *entry != nullptr; ++entry) {
    std::string_view value = *entry;
    std::string_view name = cut(value, '=');
    bool ours = name.starts_with("PG") ||
                std::find(std::begin(kAddresses), std::end(kAddresses), name) != std::end(kAddresses) ||
                std::any_of(passwords.begin(), passwords.end(), [&](const std::string &password) {
                  return password.size() >= 4 && value.find(password) != std::string_view::npos;
                });
    if (ours && std::find(passed.begin(), passed.end(), name) == passed.end())
      out.emplace_back(name);
  }
  return out;
}

void close_proc() { ::prctl(PR_SET_DUMPABLE, 0); }

}  // namespace await::cli
