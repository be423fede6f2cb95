// await-relay: hands on the events of all jobs, batches and topics.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <set>

#include "base/redact.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/program.h"
#include "cli/redis_names.h"
#include "cli/secrets.h"
#include "kafka/handle.h"
#include "pg/conninfo.h"
#include "relay/check.h"
#include "relay/relay.h"

namespace {

using namespace await;

struct Arguments {
  std::string postgres;
  std::vector<std::string> redis;
  std::vector<std::string> sinks;
  std::vector<std::string> from;
  std::string poll = "10ms";
  std::string source = "table";
  std::string log_postgres;
  std::int64_t log_limit_mb = 1024;
  std::vector<std::string> types;
  std::vector<std::string> queues;
  relay::Relay::Settings settings;
  std::vector<std::string> redis_names;  ///< host names of the Redis servers; empty where there is none
};

std::string is_relay_name(const std::string &text) {
  auto spec = relay::parse_sink(text);
  return spec && spec->kind == text && spec->name() == text
             ? ""
             : "\"" + text + "\" is not a name: 1 to 64 of A-Z a-z 0-9 _ . -";
}

void declare(CLI::App &app, Arguments &to) {
  app.set_version_flag("--version", std::string("await-relay ") + kVersion);
  app.add_option("--postgres", to.postgres,
                 "PostgreSQL connection string (libpq conninfo or URL), or @FILE that contains it; the role "
                 "is a member of await_relay")
      ->envname("AWAIT_POSTGRES")
      ->required();
  app.add_option("--redis", to.redis,
                 "redis://[user:password@]host[:port] or unix:/path, or @FILE; may be repeated. The default "
                 "password is REDISCLI_AUTH")
      ->envname("AWAIT_REDIS")
      ->allow_extra_args(false);
  app.add_option("--sink", to.sinks,
                 "where events go: redis, stdout[,thin=on], kafka=BROKERS,topic=TOPIC, "
                 "webhooks[,option=value]; may be repeated. Each "
                 "has a cursor of its own, "
                 "under its kind or name=NAME")
      ->envname("AWAIT_SINKS")
      ->delimiter(';')
      ->allow_extra_args(false);
  app.add_option("--from", to.from,
                 "where jobs come from: kafka=BROKERS,topic=TOPIC,queue=QUEUE,group=GROUP; may be repeated")
      ->envname("AWAIT_FROM")
      ->delimiter(';')
      ->allow_extra_args(false);
  app.add_option("--types", to.types, "deliver only events of these types, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--queue", to.queues, "deliver only events of jobs of this queue; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--poll", to.poll, "interval in which PostgreSQL is asked for new events")
      ->check(cli::is_time)
      ->capture_default_str();
  app.add_option(
         "--source", to.source,
         "where events come from: table, or wal, the write-ahead log, which is faster and needs more rights")
      ->check(CLI::IsMember({"table", "wal"}))
      ->envname("AWAIT_SOURCE")
      ->capture_default_str();
  app.add_option(
         "--wal-postgres", to.log_postgres,
         "with --source wal: connection string of the server itself, if that of --postgres is a pooler's")
      ->envname("AWAIT_WAL_POSTGRES");
  app.add_option("--wal-limit", to.log_limit_mb,
                 "with --source wal: megabytes of the log that its replication slot may keep; then it is "
                 "dropped for a minute")
      ->check(CLI::Range(16, 1'000'000))
      ->capture_default_str();
  app.add_option("--name", to.settings.relay,
                 "relays of one name have one leader, and the cursors of their sinks")
      ->check(is_relay_name)
      ->envname("AWAIT_RELAY")
      ->capture_default_str();
  app.add_flag("--once", to.settings.once, "deliver everything up to now, and exit; 1 if a sink has failed");
  app.add_flag("--check", to.settings.only_check,
               "say what is missing, with the remedy, and exit; 1 if something is");
  app.footer(
      "SIGTERM: deliver what was begun, store the cursors, and let a standby take over.\n"
      "Exit status 64: an argument is wrong.");
}

/// What no event can have: with it, everything would be left out and counted as delivered.
std::string bad_filter(const Arguments &arguments) {
  constexpr std::string_view kType = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
  auto is_bad = [&](const std::string &text) {
    return text.empty() || text.size() > 64 || lower(text).find_first_not_of(kType) != std::string::npos;
  };
  for (const std::string &type : arguments.types) {
    if (is_bad(type) || lower(type) != type)
      return "--types: a type is 1 to 64 of a-z 0-9 _ . -, not \"" + printable(type) + "\"";
  }
  for (const std::string &queue : arguments.queues) {
    if (is_bad(queue))
      return "--queue: a name is 1 to 64 of A-Z a-z 0-9 _ . -, not \"" + printable(queue) + "\"";
  }
  return "";
}

/// Reads and checks what the options contain. The error names the option.
Result<std::vector<redis::Address>> prepare(Arguments &arguments) {
  auto conninfo = cli::read_address(arguments.postgres);
  if (!conninfo)
    return Error{Code::invalid, "--postgres: " + conninfo.error().detail};
  auto options = pg::parse_conninfo(*conninfo);
  if (!options)
    return Error{Code::invalid, "--postgres " + redact(*conninfo) + ": " + options.error().detail};
  arguments.settings.conninfo = *conninfo;
  arguments.settings.follows_log = arguments.source == "wal";
  arguments.settings.log_conninfo = *conninfo;
  arguments.settings.most_log_held = arguments.log_limit_mb << 20;
  if (!arguments.log_postgres.empty()) {
    auto log = cli::read_address(arguments.log_postgres);
    auto log_options = log ? pg::parse_conninfo(*log) : Result<pg::Options>(log.error());
    if (!log_options)
      return Error{Code::invalid,
                   "--wal-postgres " + redact(arguments.log_postgres) + ": " + log_options.error().detail};
    if (!arguments.settings.follows_log)
      return Error{Code::invalid, "--wal-postgres is for --source wal"};
    arguments.settings.log_conninfo = *log;
  }
  std::set<std::string> names;
  for (const std::string &text : arguments.sinks) {
    auto spec = relay::parse_sink(trim(text));
    if (!spec)
      return Error{Code::invalid, "--sink " + redact(text) + ": " + spec.error().detail};
    if (!names.insert(spec->name()).second)
      return Error{Code::invalid, "two sinks are named \"" + spec->name() + "\": give one another name=NAME"};
    arguments.settings.sinks.push_back(*spec);
  }
  for (const std::string &text : arguments.from) {
    auto spec = relay::parse_sink(trim(text));
    if (!spec)
      return Error{Code::invalid, "--from " + redact(text) + ": " + spec.error().detail};
    arguments.settings.from.push_back(*spec);
  }
  if (arguments.sinks.empty() &&
      (arguments.settings.once || !arguments.types.empty() || !arguments.queues.empty()))
    return Error{Code::invalid, "there is no --sink"};
  if (arguments.settings.once && !arguments.from.empty())
    return Error{Code::invalid, "--once is for --sink: a relay with --from has no end"};
  if (std::string wrong = bad_filter(arguments); !wrong.empty())
    return Error{Code::invalid, wrong};
  arguments.settings.filter.types = {arguments.types.begin(), arguments.types.end()};
  arguments.settings.filter.queues = {arguments.queues.begin(), arguments.queues.end()};
  arguments.settings.poll_ms = std::max<std::int64_t>(*cli::parse_time(arguments.poll), 1);
  arguments.settings.holder = cli::process_name();
  auto servers = cli::read_redis(arguments.redis);
  if (!servers)
    return servers.error();
  arguments.redis_names = std::move(servers->names);
  return std::move(servers->addresses);
}

int run(Arguments &arguments) {
  cli::StderrLog log("await-relay");
  io::Random random;
  io::PollLoop loop;
  auto addresses = prepare(arguments);
  if (!addresses) {
    log.error(addresses.error().detail);
    return cli::kUsage;
  }
  int signals = cli::open_signals({SIGTERM, SIGINT});
  redis::Bus bus(loop, log, random, *addresses);
  cli::RedisNames names(loop, bus, arguments.redis_names);
  relay::Relay relay(loop, log, random, addresses->empty() ? nullptr : &bus, arguments.settings);
  auto made = relay.make_sinks();
  if (!made) {
    log.error("--sink: " + made.error().detail);
    return cli::kUsage;
  }
  if (auto intakes = relay.make_intakes(); !intakes) {
    log.error("--from: " + intakes.error().detail);
    return cli::kUsage;
  }
  auto watch = loop.watch(signals, [&] {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == sizeof info)
      relay.drain();
  });
  watch->want(true, false);
  bus.start();
  relay.start();
  if (arguments.settings.only_check) {
    bool good = relay::check(loop, relay);
    if (arguments.settings.follows_log)
      good = relay::check_log(loop, log, random, relay, arguments.settings.log_conninfo) && good;
    return good ? 0 : 1;
  }
  while (!relay.done())
    loop.round(1000);
  loop.round(0);  // sends the last hints
  return relay.succeeded() ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Hands on the events of all jobs, batches and topics.", "await-relay");
  Arguments arguments;
  declare(app, arguments);
  cli::keep_standard_descriptors();
  cli::close_proc();
  if (auto status = cli::parse_arguments(app, argc, argv))
    return *status;
  int status = run(arguments);
  constexpr int kClosingMs = 2'000;
  if (!kafka::wait_closed(kClosingMs))
    std::_Exit(status);  // threads of librdkafka still wait for a name, for example
  return status;
}
