#include "pg/hosts.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/addresses.h"
#include "base/text.h"

namespace await::pg {
namespace {

using OptionList = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption *)>;

bool names_address(std::string_view keyword) {
  return keyword == "host" || keyword == "hostaddr" || keyword == "port";
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  for (std::size_t comma = 0; comma != std::string_view::npos;) {
    comma = list.find(',');
    out.emplace_back(trim(list.substr(0, comma)));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return out;
}

std::string join(const std::vector<std::string> &items) {
  std::string out;
  for (const std::string &item : items)
    out += (&item == items.data() ? "" : ",") + item;
  return out;
}

bool needs_lookup(const std::string &host) {
  return !host.empty() && host[0] != '/' && host[0] != '@' && !is_numeric_address(host);
}

Options options_of(const PQconninfoOption *option) {
  Options out;
  for (; option != nullptr && option->keyword != nullptr; ++option) {
    if (option->val != nullptr)
      out.emplace_back(option->keyword, option->val);
  }
  return out;
}

/// What the conninfo, the environment and the service file say together. libpq has no call for this, but an
/// attempt to connect that fails before it connects has read all of them. Its sslmode is not valid.
Options effective_options(const std::string &conninfo) {
  const char *keywords[] = {"dbname", "sslmode", nullptr};
  const char *values[] = {conninfo.c_str(), "?", nullptr};
  std::unique_ptr<PGconn, void (*)(PGconn *)> pg(PQconnectStartParams(keywords, values, 1), PQfinish);
  OptionList options(pg ? PQconninfo(pg.get()) : nullptr, PQconninfoFree);
  return options_of(options.get());
}

Error mismatch(const char *what, std::size_t n, std::size_t hosts) {
  return {Code::invalid,
          "could not match " + std::to_string(n) + " " + what + " to " + std::to_string(hosts) + " hosts"};
}

/// The hosts as they are written, names not resolved.
Result<std::vector<Host>> written_hosts(const Options &options) {
  auto hosts = split(value_of(options, "host"));
  auto addresses = split(value_of(options, "hostaddr"));
  auto ports = split(value_of(options, "port"));
  bool given = !value_of(options, "hostaddr").empty();
  bool named = !value_of(options, "host").empty();
  std::size_t n = given ? addresses.size() : hosts.size();
  if (given && named && hosts.size() != n)
    return mismatch("host names", hosts.size(), n);
  if (ports.size() != 1 && ports.size() != n)
    return mismatch("port numbers", ports.size(), n);
  std::vector<Host> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(
        {named ? hosts[i] : "", given ? addresses[i] : "", ports.size() == 1 ? ports[0] : ports[i]});
  return out;
}

/// @param unknown  names without an address, which are left out
std::vector<Host> resolve(const std::vector<Host> &written, std::vector<std::string> &unknown) {
  std::vector<Host> out;
  for (const Host &host : written) {
    if (!host.hostaddr.empty() || !needs_lookup(host.host)) {
      out.push_back(host);
      continue;
    }
    auto addresses = addresses_of(host.host);
    if (addresses.empty())
      unknown.push_back(host.host);
    for (const std::string &address : addresses)
      out.push_back({host.host, address, host.port});
  }
  return out;
}

}  // namespace

std::string Host::text() const {
  std::string out = "server at \"" + (host.empty() ? hostaddr : host) + "\"";
  if (!hostaddr.empty() && !host.empty() && hostaddr != host)
    out += " (" + hostaddr + ")";
  return port.empty() ? out : out + ", port " + port;
}

Result<Hosts> read_hosts(const std::string &conninfo) {
  OptionList parsed(PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
  if (!parsed)
    return Error{Code::invalid, "the conninfo cannot be parsed"};
  Hosts hosts;
  hosts.options = options_of(parsed.get());
  std::erase_if(hosts.options,
                [](const auto &option) { return names_address(option.first) || option.first == "options"; });
  Options effective = effective_options(conninfo);
  hosts.startup = value_of(effective, "options");
  hosts.connect_timeout_ms =
      parse_number(trim(value_of(effective, "connect_timeout")), 86'400).value_or(0) * 1000;
  auto written = written_hosts(effective);
  if (!written)
    return written.error();
  std::vector<std::string> unknown;
  hosts.list = resolve(*written, unknown);
  if (hosts.list.empty())
    return Error{Code::unavailable, "host not found: \"" + join(unknown) + "\""};
  return hosts;
}

bool resolve_hosts(Options &options, std::string &unknown) {
  auto written = written_hosts(options);
  if (!written || !value_of(options, "hostaddr").empty())
    return true;  // libpq complains when it connects
  std::vector<std::string> names;
  auto found = resolve(*written, names);
  if (!names.empty()) {
    unknown = names.front();
    return false;
  }
  std::vector<std::string> hosts, addresses, ports;
  for (const Host &host : found) {
    hosts.push_back(host.host);
    addresses.push_back(needs_lookup(host.host)         ? host.hostaddr
                        : is_numeric_address(host.host) ? host.host
                                                        : "");
    ports.push_back(host.port);
  }
  if (std::all_of(addresses.begin(), addresses.end(), [](auto &one) { return one.empty(); }))
    return true;  // sockets only
  bool port = !value_of(options, "port").empty();
  std::erase_if(options, [](const auto &option) { return names_address(option.first); });
  options.emplace_back("host", join(hosts));
  options.emplace_back("hostaddr", join(addresses));
  if (port)
    options.emplace_back("port", join(ports));
  return true;
}

}  // namespace await::pg
