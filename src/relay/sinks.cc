#include "relay/sinks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "relay/kafka_sink.h"
#include "relay/redis_sink.h"
#include "relay/stdout_sink.h"
#include "relay/webhook_sink.h"

namespace await::relay {
namespace {

using Made = Result<std::unique_ptr<Sink>>;

Error bad_option(const SinkSpec &spec, std::string_view name) {
  return {Code::invalid, "the sink " + spec.kind + " has no option \"" + std::string(name) + "\""};
}

Made make_stdout(const SinkSpec &spec, const SinkContext &context) {
  if (!spec.value.empty())
    return Error{Code::invalid, "the sink stdout takes no value"};
  bool thin = false;
  for (const auto &[name, value] : spec.options) {
    thin = value == "on";
    if (name != "thin")
      return bad_option(spec, name);
    if (value != "on" && value != "off")
      return Error{Code::invalid, "the option thin of the sink stdout is on or off"};
  }
  return Made(std::make_unique<StdoutSink>(context.loop, 1, thin));
}

Made make_redis(const SinkSpec &spec, const SinkContext &context) {
  if (!spec.value.empty())
    return Error{Code::invalid, "the sink redis takes no value: the servers are those of --redis"};
  if (!spec.options.empty())
    return bad_option(spec, spec.options.begin()->first);
  if (context.bus == nullptr)
    return Error{Code::invalid, "the sink redis needs --redis"};
  return Made(std::make_unique<RedisSink>(context.loop, *context.bus));
}

Made make_kafka(const SinkSpec &spec, const SinkContext &context) {
  auto settings = KafkaSink::parse(spec.value, spec.options);
  if (!settings)
    return Error{Code::invalid, "the sink " + spec.name() + ": " + settings.error().detail};
  return Made(std::make_unique<KafkaSink>(context.loop, context.log, std::move(*settings)));
}

struct Kind {
  std::string_view name;
  Made (*make)(const SinkSpec &, const SinkContext &);
};
constexpr Kind kKinds[] = {
    {"kafka", make_kafka}, {"redis", make_redis}, {"stdout", make_stdout}, {"webhooks", make_webhooks}};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

}  // namespace

std::string SinkSpec::name() const {
  auto at = options.find("name");
  return at == options.end() ? kind : at->second;
}

Result<SinkSpec> parse_sink(std::string_view text) {
  SinkSpec out;
  std::string *last = nullptr;
  while (true) {
    std::string_view part = text.substr(0, text.find(','));
    std::size_t equals = part.find('=');
    std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    if (last == nullptr) {
      out.kind = part.substr(0, equals);
      out.value = value;
      last = equals == std::string_view::npos ? nullptr : &out.value;
      if (out.kind.empty())
        return Error{Code::invalid, "the sink is empty"};
    } else if (equals == std::string_view::npos) {
      last->append(",").append(part);
    } else {
      auto [at, added] = out.options.emplace(part.substr(0, equals), value);
      if (!added)
        return Error{Code::invalid, "the option \"" + at->first + "\" is given twice"};
      last = &at->second;
    }
    if (part.size() == text.size())
      break;
    text.remove_prefix(part.size() + 1);
    if (last == nullptr)
      last = &out.value;
  }
  if (!is_name(out.name()))
    return Error{Code::invalid, "a name has 1 to 64 of A-Z a-z 0-9 _ . -"};
  return out;
}

Result<std::unique_ptr<Sink>> make_sink(const SinkSpec &spec, const SinkContext &context) {
  const auto *kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind &k) { return k.name == spec.kind; });
  if (kind == std::end(kKinds)) {
    std::string known;
    for (const Kind &k : kKinds)
      known.append(known.empty() ? "" : ", ").append(k.name);
    return Error{Code::invalid, "there is no sink \"" + spec.kind + "\"; there are: " + known};
  }
  SinkSpec own = spec;
  own.options.erase("name");
  return kind->make(own, context);
}

}  // namespace await::relay
