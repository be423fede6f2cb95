// await: submits jobs, watches them and gets their results, over HTTP or in the database.

#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/ids.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/program.h"
#include "cli/secrets.h"
#include "io/random.h"
#include "pg/conninfo.h"
#include "tool/database_service.h"
#include "tool/http_service.h"
#include "tool/verbs.h"

namespace {

using namespace await;

struct Arguments {
  std::string url;
  std::string database;
  std::vector<std::string> headers;
  std::string ca_file;
  std::string timeout;
  bool json = false;
  std::string job;
  std::vector<std::string> jobs;
  std::string queue;
  std::string file = "-";
  std::string output;
  bool waits = false;
  tool::Submission submission;
  tool::Filter filter;
};

constexpr std::size_t kMostBody = std::size_t{1} << 30;  // as much as PostgreSQL takes at once
constexpr std::int64_t kAnswerMs = 30'000;

void declare_common(CLI::App &app, Arguments &to) {
  app.set_version_flag("--version", std::string("await ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--url", to.url,
                 "URL of a location with the directive await, such as http://127.0.0.1:8080/jobs; default: "
                 "AWAIT_URL")
      ->allow_extra_args(false);
  app.add_option("--database", to.database,
                 "instead: PostgreSQL connection string (libpq conninfo or URL), or @FILE that contains it; "
                 "default: AWAIT_POSTGRES");
  app.add_option("--header", to.headers,
                 "\"Name: value\" for each request, or @FILE that contains it; may be repeated. The value of "
                 "AWAIT_TOKEN is sent as a bearer token")
      ->allow_extra_args(false);
  app.add_option("--ca", to.ca_file, "file with the certificates to trust, instead of those of the system")
      ->check(CLI::ExistingFile);
  app.add_option(
         "--timeout", to.timeout,
         "how long to try and wait, such as 30s or 5m; default: 30s, and without limit to watch or wait "
         "for a job")
      ->check(cli::is_time);
  app.add_flag("--json", to.json, "print JSON, one object a line");
  app.footer(
      "Exit status: 0 done; 1 refused; 2 the job has failed; 3 it was cancelled or has expired; 4 there is "
      "no\n"
      "such job; 5 not in time; 64 wrong arguments; 69 the server is away; 77 not permitted; 130 "
      "interrupted.");
}

void declare_verbs(CLI::App &app, Arguments &to) {
  auto *submit = app.add_subcommand("submit", "Submit a job; prints its id");
  submit->add_option("file", to.file, "file with the payload; \"-\", the default, is standard input");
  submit->add_option("--queue", to.submission.queue, "queue of the job, with --database");
  submit->add_option("--type", to.submission.type,
                     "media type of the payload; default: application/octet-stream");
  submit->add_option(
      "--key", to.submission.key,
      "a repetition with the same key is the same job (Idempotency-Key); default: a random one");
  submit->add_flag("--wait", to.waits, "wait until the job has ended, and print its result");
  submit->add_option("-o,--output", to.output, "file for the result");
  auto *watch = app.add_subcommand("watch", "Show the events of a job until it has ended");
  watch->add_option("job", to.job, "id or URL of the job")->required();
  auto *result = app.add_subcommand("result", "Print the result of a job");
  result->add_option("job", to.job, "id or URL of the job")->required();
  result->add_option("-o,--output", to.output, "file for the result");
  result->add_flag("--wait", to.waits, "wait until the job has ended");
  auto *list = app.add_subcommand("list", "List jobs, the newest first");
  list->add_option("--queue", to.filter.queue, "those of this queue");
  list->add_option("--state", to.filter.state,
                   "those in this state, or in one of several, with commas between");
  list->add_option("--limit", to.filter.limit, "how many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  auto *queues = app.add_subcommand("queues", "List the queues, with --database");
  queues->add_option("queue", to.queue, "this one only");
  auto *retry =
      app.add_subcommand("retry", "Run a job that has ended once more; prints the id of the new one");
  retry->add_option("job", to.job, "id or URL of the job")->required();
  auto *cancel = app.add_subcommand("cancel", "Cancel jobs");
  cancel->add_option("job", to.jobs, "ids or URLs of the jobs")->required();
  for (const char *name : {"pause", "resume"}) {
    auto *verb =
        app.add_subcommand(name, *name == 'p' ? "Let workers get no jobs of a queue, with --database"
                                              : "Let workers get jobs of a queue again, with --database");
    verb->add_option("queue", to.queue, "the queue")->required();
  }
}

Result<std::string> read_file(const std::string &path) {
  bool is_input = path == "-";
  std::unique_ptr<FILE, int (*)(FILE *)> file(
      is_input ? stdin : std::fopen(path.c_str(), "re"),
      [](FILE *open) { return open == stdin ? 0 : std::fclose(open); });
  if (!file)
    return Error{Code::invalid, "cannot read " + path + ": " + std::strerror(errno)};
  std::string out;
  char piece[65536];
  while (std::size_t n = std::fread(piece, 1, sizeof piece, file.get())) {
    if (out.size() + n > kMostBody)
      return Error{Code::too_large, path + " has more than 1 GB"};
    out.append(piece, n);
  }
  if (std::ferror(file.get()) != 0)
    return Error{Code::invalid, "cannot read " + path + ": " + std::strerror(errno)};
  return out;
}

Result<curl::Headers> read_headers(const std::vector<std::string> &given) {
  curl::Headers out;
  if (auto token = cli::from_environment("AWAIT_TOKEN"))
    out.emplace_back("Authorization", "Bearer " + *token);
  for (const std::string &text : given) {
    auto line = cli::read_address(text);
    if (!line)
      return line.error();
    std::string_view value = *line;
    std::string_view name = cut(value, ':');
    if (!is_token(name) || value.empty())
      return Error{Code::invalid, "--header is \"Name: value\""};
    out.emplace_back(name, trim(value));
  }
  return out;
}

/// In the database a job is known by its id only.
Result<Done> check_jobs(const std::string &verb, const Arguments &arguments) {
  std::vector<std::string> jobs = arguments.jobs;
  if (verb == "watch" || verb == "result" || verb == "retry")
    jobs.push_back(arguments.job);
  for (const std::string &job : jobs) {
    if (!Uuid::parse(job))
      return Error{Code::invalid, verb + ": \"" + job +
                                      "\" is not the id of a job, such as "
                                      "01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77; URLs of jobs are for --url"};
  }
  return Done{};
}

/// Errors: invalid.
Result<std::unique_ptr<tool::Service>> make_service(const std::string &verb, const Arguments &arguments,
                                                    tool::Deadline deadline,
                                                    std::function<void(const std::string &)> told) {
  auto from = [](const std::string &given, const char *name) {
    return given.empty() ? cli::from_environment(name).value_or("") : given;
  };
  if (!arguments.url.empty() && !arguments.database.empty())
    return Error{Code::invalid, "either --url or --database"};
  bool of_queues = verb == "queues" || verb == "pause" || verb == "resume";
  if (of_queues && !arguments.url.empty())
    return Error{Code::invalid, verb + " needs --database: a location does not tell about queues"};
  std::string url = arguments.database.empty() && !of_queues ? from(arguments.url, "AWAIT_URL") : "";
  if (!url.empty()) {
    auto headers = read_headers(arguments.headers);
    if (!headers)
      return headers.error();
    auto service = std::make_unique<tool::HttpService>(
        tool::HttpService::Options{url, *headers, arguments.ca_file}, deadline, std::move(told));
    if (auto good = service->prepare(); !good)
      return good.error();
    return std::unique_ptr<tool::Service>(std::move(service));
  }
  std::string given = from(arguments.database, "AWAIT_POSTGRES");
  if (given.empty())
    return Error{Code::invalid, of_queues ? "--database is missing (or AWAIT_POSTGRES)"
                                          : "--url or --database is missing (or AWAIT_URL, AWAIT_POSTGRES)"};
  auto conninfo = cli::read_address(given);
  auto options = conninfo ? pg::parse_conninfo(*conninfo) : Result<pg::Options>(conninfo.error());
  if (!options)
    return Error{Code::invalid, "--database: " + options.error().detail};
  if (auto good = check_jobs(verb, arguments); !good)
    return good.error();
  return std::unique_ptr<tool::Service>(
      std::make_unique<tool::DatabaseService>(*conninfo, deadline, std::move(told)));
}

/// A random key, so that a submission can be sent again.
std::string random_key() {
  io::Random random;
  std::string out = "await-";
  for (auto byte : random.ten()) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    out += hex;
  }
  return out;
}

int act(const std::string &verb, Arguments &arguments, tool::Verbs &verbs) {
  if (verb == "submit") {
    auto body = read_file(arguments.file);
    if (!body) {
      tool::complain(body.error());
      return cli::kUsage;
    }
    arguments.submission.body = std::move(*body);
    if (arguments.submission.key.empty())
      arguments.submission.key = random_key();
    return verbs.submit(arguments.submission, arguments.waits, arguments.output);
  }
  if (verb == "watch")
    return verbs.watch(arguments.job);
  if (verb == "result")
    return verbs.result(arguments.job, arguments.waits, arguments.output);
  if (verb == "list")
    return verbs.list(arguments.filter);
  if (verb == "queues")
    return verbs.queues(arguments.queue);
  if (verb == "retry")
    return verbs.retry(arguments.job);
  if (verb == "cancel")
    return verbs.cancel(arguments.jobs);
  return verbs.pause(arguments.queue, verb == "pause");
}

int run(const std::string &verb, Arguments &arguments) {
  bool on_terminal = ::isatty(STDOUT_FILENO) != 0;
  using Style = tool::ProgressLine::Style;
  tool::ProgressLine line(arguments.json ? Style::json : on_terminal ? Style::live : Style::lines);
  bool waits = verb == "watch" || arguments.waits;
  std::optional<std::int64_t> limit = waits ? std::nullopt : std::optional(kAnswerMs);
  if (!arguments.timeout.empty())
    limit = cli::parse_time(arguments.timeout);
  auto service = make_service(verb, arguments, tool::Deadline(limit),
                              [&line](const std::string &what) { line.interject(what); });
  if (!service) {
    tool::complain(service.error());
    return cli::kUsage;
  }
  tool::Verbs verbs(**service, line, arguments.json);
  int status = act(verb, arguments, verbs);
  if (std::fflush(stdout) != 0 && status == tool::kDone)
    return tool::complain({Code::internal, std::string("cannot write: ") + std::strerror(errno)});
  return status;
}

/// Leaves the line of `watch`, and ends as whoever started us expects. The job goes on.
void on_interrupt(int number) {
  if (::isatty(STDOUT_FILENO) != 0)
    (void)!::write(STDOUT_FILENO, "\n", 1);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Submits jobs of nginx-await, watches them and gets their results.", "await");
  Arguments arguments;
  declare_common(app, arguments);
  declare_verbs(app, arguments);
  cli::keep_standard_descriptors();
  cli::close_proc();
  ::signal(SIGPIPE, SIG_IGN);
  struct sigaction interrupt {};
  interrupt.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &interrupt, nullptr);
  if (auto status = cli::parse_arguments(app, argc, argv))
    return *status;
  std::string verb = app.get_subcommands().front()->get_name();
  return run(verb, arguments);
}
