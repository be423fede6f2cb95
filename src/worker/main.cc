// await-worker: runs one command per job, or plays jobs to an HTTP back end.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/redact.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/program.h"
#include "cli/redis_names.h"
#include "cli/secrets.h"
#include "pg/conninfo.h"
#include "wire/headers.h"
#include "wire/replay.h"
#include "worker/worker.h"

namespace {

using namespace await;

std::string is_media_type(const std::string &text) {
  return wire::is_media_type(text) && text.size() <= 255
             ? ""
             : "\"" + text + "\" is not a content type such as text/plain";
}

std::string is_file_name(const std::string &text) {
  return is_text(text) && text == printable(text) && text.find_first_of("/\\") == std::string::npos &&
                 !text.empty() && text.size() <= 255
             ? ""
             : "\"" + text + "\" is not a file name without a path";
}

std::string is_backend(const std::string &text) {
  return wire::parse_backend(text) ? ""
                                   : "\"" + redact(text) + "\" is not a URL such as http://backend:9000/base";
}

struct Arguments {
  std::string postgres;
  std::vector<std::string> redis;
  std::string lease;
  std::string grace = "10s";
  std::string file_name;
  std::vector<std::string> pass_env;
  std::string http;
  std::vector<std::string> http_allow;
  std::string http_timeout = "10m";
  std::string http_connect_timeout = "5s";
  std::int64_t http_max_result = 1024;
  bool thin_hints = false;
  worker::Worker::Settings settings;
  std::vector<std::string> redis_names;  ///< host names of the Redis servers; empty where there is none
};

void declare_http(CLI::App &app, Arguments &to) {
  auto *http =
      app.add_option("--http", to.http,
                     "instead of a command: URL of a back end, to which the requests of the jobs are sent")
          ->check(is_backend);
  app.add_option("--http-allow", to.http_allow, "URL of another back end that jobs may name; may be repeated")
      ->check(is_backend)
      ->allow_extra_args(false)
      ->needs(http);
  app.add_option("--http-timeout", to.http_timeout, "maximum time of a request to the back end")
      ->check(cli::is_time)
      ->capture_default_str()
      ->needs(http);
  app.add_option("--http-connect-timeout", to.http_connect_timeout, "maximum time to connect to the back end")
      ->check(cli::is_time)
      ->capture_default_str()
      ->needs(http);
  app.add_option("--http-max-result", to.http_max_result, "maximum size of a result, in MB")
      ->check(CLI::Range(1, 1024 * 1024))
      ->capture_default_str()
      ->needs(http);
  app.add_option("--http-ca", to.settings.http.ca_file,
                 "file with the certificates to trust, instead of those of the system")
      ->check(CLI::ExistingFile)
      ->needs(http);
}

void declare(CLI::App &app, Arguments &to) {
  app.set_version_flag("--version", std::string("await-worker ") + kVersion);
  app.add_option(
         "--postgres", to.postgres,
         "PostgreSQL connection string (libpq conninfo or URL), or @FILE that contains it; prefer the "
         "environment, a file or PGPASSFILE for a password")
      ->envname("AWAIT_POSTGRES")
      ->required();
  app.add_option("--redis", to.redis,
                 "redis://[user:password@]host[:port] or unix:/path, or @FILE; may be repeated. The default "
                 "password is REDISCLI_AUTH. Without Redis, clients get results by polling")
      ->envname("AWAIT_REDIS")
      ->allow_extra_args(false);
  app.add_option("--queue", to.settings.queues, "queue to claim jobs from; may be repeated")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--concurrency", to.settings.concurrency,
                 "maximum number of commands or requests running at the same time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--lease", to.lease,
                 "time for which a job is leased without a heartbeat; default: set by the job or the queue")
      ->check(cli::is_time);
  app.add_option("--grace", to.grace, "time between SIGTERM and SIGKILL when a command is stopped")
      ->check(cli::is_time)
      ->capture_default_str();
  app.add_option("--content-type", to.settings.task.content_type, "content type of the results")
      ->check(is_media_type)
      ->capture_default_str();
  app.add_option("--file-name", to.file_name, "file name of the results")->check(is_file_name);
  app.add_option("--status", to.settings.task.status, "HTTP status of the results")
      ->check(CLI::IsMember({200, 201, 203}))
      ->capture_default_str();
  app.add_option("--pass-env", to.pass_env,
                 "environment variables to pass to the command although they may contain a password: "
                 "AWAIT_POSTGRES, AWAIT_REDIS, REDISCLI_AUTH, PG*; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--thin-hints", to.thin_hints,
               "send hints through Redis without job data (params, owner, results)");
  app.add_option("--name", to.settings.name, "name of this worker in the lease table; default: host:pid");
  declare_http(app, to);
  auto *command = app.add_option(
      "command", to.settings.task.command,
      "command to run, after --: payload on stdin, result on stdout, JSON lines on descriptor 3");
  for (auto *option : {command, app.get_option("--content-type"), app.get_option("--file-name"),
                       app.get_option("--status"), app.get_option("--grace"), app.get_option("--pass-env")})
    option->excludes("--http");
  app.footer(
      "Exit status 0 completes the job. 65 fails it permanently. Any other status fails the attempt, and the "
      "job is retried with the backoff of its queue.\n"
      "SIGTERM: finish the running jobs and claim no new ones. A second SIGTERM stops the commands too.");
}

/// If a conninfo is not quoted, its remaining pairs become the command, which would fail and show them in its
/// error.
bool is_part_of_conninfo(const std::string &word) {
  std::string_view name = std::string_view(word).substr(0, word.find('='));
  return name.size() < word.size() &&
         (name == "host" || name == "hostaddr" || name == "port" || name == "dbname" || name == "user" ||
          name == "password" || name.starts_with("ssl"));
}

/// Reads and checks the addresses, and determines the variables withheld from commands. The error names the
/// option.
Result<std::vector<redis::Address>> prepare(Arguments &arguments) {
  auto servers = cli::read_redis(arguments.redis);
  if (!servers)
    return servers.error();
  arguments.redis_names = std::move(servers->names);
  std::vector<std::string> passwords;
  for (const redis::Address &address : servers->addresses)
    passwords.push_back(address.password);
  auto conninfo = cli::read_address(arguments.postgres);
  if (!conninfo)
    return Error{Code::invalid, "--postgres: " + conninfo.error().detail};
  auto options = pg::parse_conninfo(*conninfo);
  if (!options)
    return Error{Code::invalid, "--postgres " + redact(*conninfo) + ": " + options.error().detail};
  for (const auto &[keyword, value] : *options) {
    if (keyword == "password" || keyword == "sslpassword")
      passwords.push_back(value);
  }
  passwords.push_back(cli::from_environment("PGPASSWORD").value_or(""));
  arguments.postgres = *conninfo;
  if (arguments.http.empty() && arguments.settings.task.command.empty())
    return Error{Code::invalid, "a command is required, or --http"};
  if (arguments.http.empty() && is_part_of_conninfo(arguments.settings.task.command.front()))
    return Error{Code::invalid, "the command looks like part of a conninfo: quote the value of --postgres"};
  arguments.settings.task.withheld = cli::withheld_variables(passwords, arguments.pass_env);
  return std::move(servers->addresses);
}

void set_http(Arguments &arguments) {
  worker::Backend::Options &http = arguments.settings.http;
  http.urls.push_back(*wire::parse_backend(arguments.http));
  for (const std::string &url : arguments.http_allow)
    http.urls.push_back(*wire::parse_backend(url));
  http.whole_ms = *cli::parse_time(arguments.http_timeout);
  http.connect_ms = *cli::parse_time(arguments.http_connect_timeout);
  http.max_result = arguments.http_max_result * 1024 * 1024;
}

int run(Arguments &arguments) {
  cli::StderrLog log("await-worker");
  io::Random random;
  io::PollLoop loop;
  auto addresses = prepare(arguments);
  if (!addresses) {
    log.error(addresses.error().detail);
    return cli::kUsage;
  }
  int signals = cli::open_signals({SIGTERM, SIGINT, SIGCHLD});
  worker::Client client(loop, log, random, arguments.postgres, *addresses);
  cli::RedisNames names(loop, client.bus(), arguments.redis_names);
  worker::Worker worker(loop, log, random, client, arguments.settings);
  bool asked = false;
  auto watch = loop.watch(signals, [&] {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) {
        worker.reap_children();
      } else if (!asked) {
        asked = true;
        log.info("draining: finishing running jobs, claiming no new ones; send the signal again to stop now");
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
  // send the last hints: without them clients get the results seconds later
  loop.run_until([&] { return client.idle(); }, 3000);
  loop.round(0);  // this sends them
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Runs one command per job: payload on stdin, result on stdout. Or plays jobs to an HTTP back end.",
      "await-worker");
  Arguments arguments;
  declare(app, arguments);
  cli::keep_standard_descriptors();
  cli::close_proc();
  if (auto status = cli::parse_arguments(app, argc, argv))
    return *status;
  if (!arguments.lease.empty())
    arguments.settings.lease_ms = cli::parse_time(arguments.lease);
  arguments.settings.task.grace_ms = *cli::parse_time(arguments.grace);
  if (!arguments.file_name.empty())
    arguments.settings.task.file_name = arguments.file_name;
  if (!arguments.http.empty())
    set_http(arguments);
  if (arguments.settings.name.empty())
    arguments.settings.name = cli::process_name();
  return run(arguments);
}
