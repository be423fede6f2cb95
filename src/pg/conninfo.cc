#include "pg/conninfo.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "base/addresses.h"
#include "base/redact.h"
#include "base/text.h"

namespace await::pg {
namespace {

/// Keywords with a closed list of values, which libpq checks only when it connects.
struct Choice {
  const char *keyword;
  std::vector<std::string_view> values;
};

const Choice kChoices[] = {
    {"sslmode", {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
    {"gssencmode", {"disable", "prefer", "require"}},
    {"channel_binding", {"disable", "prefer", "require"}},
    {"target_session_attrs", {"any", "read-write", "primary"}},  // others lead to servers that cannot write
    {"load_balance_hosts", {"disable", "random"}},
    {"sslnegotiation", {"postgres", "direct"}},
    {"sslcertmode", {"disable", "allow", "require"}},
    {"ssl_min_protocol_version", {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}},
    {"ssl_max_protocol_version", {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}},
    {"sslcompression", {"0", "1"}},
    {"sslsni", {"0", "1"}},
    {"replication", {"off", "false", "no", "0"}},
    {"client_encoding", {"UTF8", "UTF-8", "utf8", "utf-8"}},  // all text that is sent is UTF-8
};

constexpr std::string_view kNumbers[] = {"connect_timeout",     "keepalives",       "keepalives_idle",
                                         "keepalives_interval", "keepalives_count", "tcp_user_timeout"};

constexpr std::string_view kFiles[] = {"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"};

std::string list(const std::vector<std::string_view> &values) {
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i)
    out += (i == 0 ? "" : i + 1 == values.size() ? " or " : ", ") + std::string(values[i]);
  return out;
}

/// Why libpq would reject the value. The value is not quoted in the message, because it may contain a
/// password that was quoted wrongly.
std::optional<std::string> complaint(std::string_view keyword, const std::string &value) {
  if (value.empty())
    return std::nullopt;  // libpq's default
  for (const Choice &choice : kChoices) {
    if (keyword == choice.keyword &&
        std::find(choice.values.begin(), choice.values.end(), value) == choice.values.end())
      return "must be " + list(choice.values);
  }
  if (keyword == "host" && value.find('@', 1) != std::string::npos)
    return "contains \"@\", which must be written as %40 in the password of a URL";
  if (keyword == "port") {
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view port = trim(cut(rest, ','));
      if (!port.empty() && parse_number(port, 65535).value_or(0) == 0)
        return "must be a number from 1 to 65535, or one such number for each host";
    }
  }
  if (keyword == "hostaddr") {
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string address(trim(cut(rest, ',')));
      if (!address.empty() && !is_numeric_address(address))
        return "must be an IP address, or one for each host; a name is for \"host\"";
    }
  }
  bool number = std::find(std::begin(kNumbers), std::end(kNumbers), keyword) != std::end(kNumbers);
  std::string_view digits = trim(value);
  if (number && !parse_number(digits.starts_with('-') ? digits.substr(1) : digits, INT32_MAX))
    return "must be an integer";
  if (std::find(std::begin(kFiles), std::end(kFiles), keyword) != std::end(kFiles) && value != "system") {
    std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(value.c_str(), "re"), std::fclose);
    if (!file && !(keyword == "sslkey" && value.find(':') != std::string::npos))  // the name of an engine
      return std::string("cannot be read: ") + std::strerror(errno);
  }
  return std::nullopt;
}

std::size_t count_of(std::string_view list) {
  return list.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(list.begin(), list.end(), ','));
}

/// Why libpq would reject the options together.
std::optional<std::string> contradiction(const Options &options) {
  std::size_t hosts = count_of(value_of(options, "host"));
  std::size_t addresses = count_of(value_of(options, "hostaddr"));
  std::size_t ports = count_of(value_of(options, "port"));
  if (hosts > 0 && addresses > 0 && hosts != addresses)
    return "\"hostaddr\" must have as many addresses as \"host\" has hosts";
  if (ports > 1 && ports != std::max<std::size_t>({1, hosts, addresses}))
    return "\"port\" must be one number, or as many as there are hosts";
  std::string_view least = value_of(options, "ssl_min_protocol_version");
  std::string_view most = value_of(options, "ssl_max_protocol_version");
  if (!least.empty() && !most.empty() && least > most)  // "TLSv1" to "TLSv1.3"
    return "\"ssl_min_protocol_version\" is later than \"ssl_max_protocol_version\"";
  if (value_of(options, "channel_binding") == "require" && value_of(options, "sslmode") == "disable")
    return "\"channel_binding=require\" needs TLS, but \"sslmode\" is disable";
  return std::nullopt;
}

}  // namespace

std::string_view value_of(const Options &options, std::string_view keyword) {
  for (const auto &[name, value] : options) {
    if (name == keyword)
      return value;
  }
  return {};
}

Result<Options> parse_conninfo(const std::string &text) {
  char *why = nullptr;
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption *)> parsed(PQconninfoParse(text.c_str(), &why),
                                                                         PQconninfoFree);
  std::unique_ptr<char, void (*)(void *)> message(why, PQfreemem);
  if (!parsed) {
    std::string told = why != nullptr ? redact_message(why, text) : "out of memory";
    return Error{Code::invalid, std::string(trim(told.substr(0, told.find('\n'))))};
  }
  Options out;
  for (const PQconninfoOption *option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr)
      continue;
    if (auto wrong = complaint(option->keyword, option->val))
      return Error{Code::invalid, "\"" + std::string(option->keyword) + "\" " + *wrong};
    out.emplace_back(option->keyword, option->val);
  }
  if (auto wrong = contradiction(out))
    return Error{Code::invalid, *wrong};
  if (out.empty())
    return Error{Code::invalid, "it must specify at least \"host=\" or \"dbname=\""};
  return out;
}

std::string to_conninfo(const Options &options) {
  std::string out;
  for (const auto &[keyword, value] : options) {
    out += (out.empty() ? "" : " ") + keyword + "='";
    for (char c : value) {
      if (c == '\'' || c == '\\')
        out += '\\';
      out += c;
    }
    out += "'";
  }
  return out;
}

}  // namespace await::pg
