// await-worker: runs one command per job.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/redact.h"
#include "base/text.h"
#include "base/version.h"
#include "pg/conninfo.h"
#include "worker/secrets.h"
#include "worker/worker.h"

namespace {

using namespace await;

class StderrLog : public io::Log {
 public:
  void info(std::string_view line) override { print(line); }
  void error(std::string_view line) override { print(line); }

 private:
  static void print(std::string_view line) {
    std::fprintf(stderr, "await-worker: %.*s\n", static_cast<int>(line.size()), line.data());
  }
};

/// "5m", "90s", "1h", "250ms" as milliseconds; empty where it is no time.
std::optional<std::int64_t> parse_time(std::string_view text) {
  auto digits = text.find_first_not_of("0123456789");
  auto number = parse_number(text.substr(0, digits), 1'000'000'000);
  std::string_view unit = digits == std::string_view::npos ? "s" : text.substr(digits);
  std::int64_t scale = unit == "ms"  ? 1
                       : unit == "s" ? 1000
                       : unit == "m" ? 60'000
                       : unit == "h" ? 3'600'000
                                     : 0;
  return number && scale > 0 ? std::optional(*number * scale) : std::nullopt;
}

std::string is_time(const std::string &text) {
  return parse_time(text) ? "" : "\"" + text + "\" is no time like 5m, 90s, 1h";
}

std::string host_name() {
  char name[256] = "worker";
  ::gethostname(name, sizeof name - 1);
  return std::string(name) + ":" + std::to_string(::getpid());
}

struct Arguments {
  std::string postgres;
  std::vector<std::string> redis;
  std::string lease;
  std::string grace = "10s";
  std::string file_name;
  std::vector<std::string> pass_env;
  bool thin_hints = false;
  worker::Worker::Settings settings;
};

void declare(CLI::App &app, Arguments &to) {
  app.set_version_flag("--version", std::string("await-worker ") + kVersion);
  app.add_option(
         "--postgres", to.postgres,
         "libpq's conninfo or URL, or @FILE that holds it; a password is better in the environment, a "
         "file or PGPASSFILE than here")
      ->envname("AWAIT_POSTGRES")
      ->required();
  app.add_option("--redis", to.redis,
                 "redis://[user:password@]address[:port] or unix:/path, or @FILE; without a password, "
                 "REDISCLI_AUTH is it; without any, watchers learn of results by re-reading")
      ->envname("AWAIT_REDIS")
      ->allow_extra_args(false);
  app.add_option("--queue", to.settings.queues, "a queue to claim from; may be repeated")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--concurrency", to.settings.concurrency, "commands at a time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--lease", to.lease,
                 "how long a job stays ours without a heartbeat; default: the job's or the queue's")
      ->check(is_time);
  app.add_option("--grace", to.grace, "from TERM to KILL when a command is to end")
      ->check(is_time)
      ->capture_default_str();
  app.add_option("--content-type", to.settings.task.content_type, "of the results")->capture_default_str();
  app.add_option("--file-name", to.file_name, "of the results");
  app.add_option("--status", to.settings.task.status, "of the results")
      ->check(CLI::IsMember({200, 201, 203}))
      ->capture_default_str();
  app.add_option("--pass-env", to.pass_env,
                 "variables that the command is to have though they may hold a password: AWAIT_POSTGRES, "
                 "AWAIT_REDIS, REDISCLI_AUTH, PG…; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag(
      "--thin-hints", to.thin_hints,
      "hints say that something has happened, not what: params, owner and results do not pass Redis");
  app.add_option("--name", to.settings.name, "what leases say of us; default: host:pid");
  app.add_option("command", to.settings.task.command,
                 "what to run, after --: payload on stdin, result on stdout, JSON lines on descriptor 3")
      ->required();
  app.footer(
      "Exit status 0: the job is completed. 65: it fails for good. Any other: it fails, and is tried again "
      "by the queue's back-off.\n"
      "SIGTERM: finish what runs, take nothing new. A second one: end the commands too.");
}

/// Signals as something to watch.
int open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGCHLD})
    sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// An unquoted conninfo leaves its pairs to be the command, which would fail with them in its error.
bool is_part_of_conninfo(const std::string &word) {
  std::string_view name = std::string_view(word).substr(0, word.find('='));
  return name.size() < word.size() &&
         (name == "host" || name == "hostaddr" || name == "port" || name == "dbname" || name == "user" ||
          name == "password" || name.starts_with("ssl"));
}

std::optional<std::string> from_environment(const char *name) {
  const char *value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

/// The addresses read and checked, and what commands are not to see. The error names the option.
Result<std::vector<redis::Address>> prepare(Arguments &arguments) {
  std::vector<redis::Address> addresses;
  std::vector<std::string> passwords;
  auto auth = from_environment("REDISCLI_AUTH");
  for (const std::string &given : arguments.redis) {
    auto url = worker::read_address(given);
    if (!url)
      return Error{Code::invalid, "--redis: " + url.error().detail};
    auto address = redis::parse_url(*url);
    if (!address)
      return Error{Code::invalid, "--redis " + redact(*url) + ": " + address.error().detail};
    if (address->password.empty() && auth)
      address->password = *auth;
    passwords.push_back(address->password);
    addresses.push_back(*address);
  }
  auto conninfo = worker::read_address(arguments.postgres);
  if (!conninfo)
    return Error{Code::invalid, "--postgres: " + conninfo.error().detail};
  auto options = pg::parse_conninfo(*conninfo);
  if (!options)
    return Error{Code::invalid, "--postgres " + redact(*conninfo) + " " + options.error().detail};
  for (const auto &[keyword, value] : *options) {
    if (keyword == "password" || keyword == "sslpassword")
      passwords.push_back(value);
  }
  passwords.push_back(from_environment("PGPASSWORD").value_or(""));
  arguments.postgres = *conninfo;
  if (is_part_of_conninfo(arguments.settings.task.command.front()))
    return Error{Code::invalid, "the command is part of a conninfo: put what follows --postgres in quotes"};
  arguments.settings.task.withheld = worker::withheld_variables(passwords, arguments.pass_env);
  return addresses;
}

int run(Arguments &arguments) {
  StderrLog log;
  io::Random random;
  io::PollLoop loop;
  auto addresses = prepare(arguments);
  if (!addresses) {
    log.error(addresses.error().detail);
    return 64;
  }
  int signals = open_signals();
  worker::Client client(loop, log, random, arguments.postgres, *addresses);
  worker::Worker worker(loop, log, random, client, arguments.settings);
  bool asked = false;
  auto watch = loop.watch(signals, [&] {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) {
        worker.reap_children();
      } else if (!asked) {
        asked = true;
        log.info("draining: no new jobs; once more to stop at once");
        worker.drain();
      } else {
        worker.stop();
      }
    }
  });
  watch->want(true, false);
  if (arguments.thin_hints)
    client.thin_hints();
  client.start();
  worker.start();
  while (!worker.done())
    loop.round(1000);
  // the last hints: without them who watches learns seconds later
  loop.run_until([&] { return client.idle(); }, 3000);
  loop.round(0);  // in which they are sent
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Runs one command per job: payload on stdin, result on stdout.", "await-worker");
  Arguments arguments;
  declare(app, arguments);
  worker::close_proc();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);  // --help, --version
    std::fprintf(stderr, "%s\nRun with --help for more information.\n",
                 worker::without_arguments(error.what(), argc, argv).c_str());
    return error.get_exit_code();
  }
  worker::hide_arguments(argc, argv);
  if (!arguments.lease.empty())
    arguments.settings.lease_ms = parse_time(arguments.lease);
  arguments.settings.task.grace_ms = *parse_time(arguments.grace);
  if (!arguments.file_name.empty())
    arguments.settings.task.file_name = arguments.file_name;
  if (arguments.settings.name.empty())
    arguments.settings.name = host_name();
  return run(arguments);
}
