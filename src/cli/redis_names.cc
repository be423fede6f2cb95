#include "cli/redis_names.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/addresses.h"
#include "base/redact.h"
#include "base/text.h"
#include "cli/program.h"
#include "cli/secrets.h"

namespace await::cli {
namespace {

bool is_name(const redis::Address &address) {
  return address.path.empty() && !is_numeric_address(address.host);
}

/// Runs in the process of a look-up.
[[noreturn]] void answer(const std::string &name, int fd, unsigned patience) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGALRM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::alarm(patience);
  std::string addresses;  // one on each line
  for (const std::string &address : addresses_of(name))
    addresses += address + '\n';
  if (::write(fd, addresses.data(), addresses.size()) < 0)
    ::_exit(1);
  ::_exit(0);
}

}  // namespace

Result<std::string> resolve(redis::Address &address) {
  if (!is_name(address))
    return std::string();
  std::string name = address.host;
  auto addresses = addresses_of(name);
  if (addresses.empty())
    return Error{Code::invalid, "host not found: \"" + name + "\""};
  address.host = addresses.front();
  return name;
}

Result<RedisServers> read_redis(const std::vector<std::string> &given) {
  RedisServers out;
  auto auth = from_environment("REDISCLI_AUTH");
  for (const std::string &one : given) {
    auto url = read_address(one);
    if (!url)
      return Error{Code::invalid, "--redis: " + url.error().detail};
    auto address = redis::parse_url(*url);
    if (!address)
      return Error{Code::invalid, "--redis " + redact(*url) + ": " + address.error().detail};
    auto name = resolve(*address);
    if (!name)
      return Error{Code::invalid, "--redis " + redact(*url) + ": " + name.error().detail};
    out.names.push_back(*name);
    if (address->password.empty() && auth)
      address->password = *auth;
    out.addresses.push_back(*address);
  }
  return out;
}

RedisNames::RedisNames(io::Loop &loop, redis::Bus &bus, std::vector<std::string> names)
    : loop_(loop),
      bus_(bus),
      names_(std::move(names)),
      turns_(names_.size(), 0),
      timer_(loop.timer([this] { check(); }, io::Loop::Quit::may)) {
  if (std::any_of(names_.begin(), names_.end(), [](const std::string &name) { return !name.empty(); }))
    timer_->set(kCheckMs);
}

RedisNames::~RedisNames() { stop(); }

void RedisNames::stop() {
  watch_.reset();
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

void RedisNames::reap() {
  // if it is not over yet, before the next look-up; a worker may have reaped it with its other children
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0)
    pid_ = 0;
}

void RedisNames::check() {
  timer_->set(kCheckMs);
  reap();
  for (std::size_t i = 0; i < names_.size() && fd_ < 0 && pid_ <= 0; ++i) {
    std::size_t server = next_++ % names_.size();
    if (!names_[server].empty() && !bus_.ready(server))
      look_up(server);
  }
}

void RedisNames::look_up(std::size_t server) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return;
  pid_ = ::fork();
  if (pid_ == 0)
    answer(names_[server], ends[1], kPatience);
  ::close(ends[1]);
  fd_ = ends[0];
  asked_ = server;
  answer_.clear();
  watch_ = loop_.watch(fd_, [this] { on_answer(); });
  watch_->want(true, false);
}

void RedisNames::on_answer() {
  char buffer[4096];
  ssize_t n = ::read(fd_, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR)
    return;
  if (n > 0) {
    answer_.append(buffer, static_cast<std::size_t>(n));
    return;
  }
  stop();
  reap();
  use(answer_);
}

void RedisNames::use(const std::string &answer) {
  std::vector<std::string_view> addresses;
  for (std::string_view rest = answer; !rest.empty();)
    addresses.push_back(cut(rest, '\n'));
  if (!addresses.empty())
    bus_.move(asked_, std::string(addresses[++turns_[asked_] % addresses.size()]));
}

}  // namespace await::cli
