#include "wire/relay_metrics.h"

#include "wire/queue_metrics.h"

namespace await::wire {
namespace {

using core::RelayStats;

struct Family {
  const char *name;
  const char *help;
  const char *type;
  std::int64_t RelayStats::*field;
};

constexpr Family kFamilies[] = {
    {"await_relay_led", "1 if a relay leads, so that the sink is served.", "gauge", &RelayStats::led},
    {"await_relay_lag_events",
     "Events that the sink has not got yet; 100000 or more of a kind are not counted.", "gauge",
     &RelayStats::behind},
    {"await_relay_delivered_total", "Events that the sink has got.", "counter", &RelayStats::delivered},
    {"await_relay_failures_total", "Pages of events that the sink did not take, and that are tried again.",
     "counter", &RelayStats::failures},
};

std::string labels(const RelayStats &sink) {
  return "{relay=" + label_value(sink.relay()) + ",sink=" + label_value(sink.sink()) + "} ";
}

void add_family(std::string &out, std::string_view name, std::string_view help, std::string_view type) {
  out.append("# HELP ").append(name).append(" ").append(help);
  out.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

}  // namespace

std::string relay_metrics(std::span<const RelayStats> sinks) {
  std::string out;
  if (sinks.empty())
    return out;
  for (const Family &family : kFamilies) {
    add_family(out, family.name, family.help, family.type);
    for (const RelayStats &sink : sinks) {
      if (sink.*family.field >= 0)
        out.append(family.name).append(labels(sink)).append(std::to_string(sink.*family.field)).append("\n");
    }
  }
  add_family(out, "await_relay_lag_seconds", "Time for which the next event of the sink has waited.",
             "gauge");
  for (const RelayStats &sink : sinks) {
    std::string ms = std::to_string(sink.lag_ms % 1000 + 1000).substr(1);
    if (sink.behind >= 0)
      out += "await_relay_lag_seconds" + labels(sink) + std::to_string(sink.lag_ms / 1000) + "." + ms + "\n";
  }
  return out;
}

std::string webhook_metrics(const core::DeliveryStats &of) {
  std::string out;
  if (of.delivered + of.failed + of.dead + of.waiting + of.retrying == 0)
    return out;
  auto line = [&](std::string_view name, std::string_view labels, std::int64_t value) {
    out.append(name).append(labels).append(" ").append(std::to_string(value)).append("\n");
  };
  add_family(out, "await_webhook_deliveries_total", "Deliveries of webhooks that have ended, by outcome.",
             "counter");
  line("await_webhook_deliveries_total", R"({outcome="delivered"})", of.delivered);
  line("await_webhook_deliveries_total", R"({outcome="dead"})", of.dead);
  add_family(out, "await_webhook_failures_total", "Attempts to deliver that failed.", "counter");
  line("await_webhook_failures_total", "", of.failed);
  add_family(out, "await_webhook_deliveries",
             "Deliveries of webhooks that have not ended; 20000 are counted.", "gauge");
  line("await_webhook_deliveries", R"({state="waiting"})", of.waiting);
  line("await_webhook_deliveries", R"({state="retrying"})", of.retrying);
  return out;
}

}  // namespace await::wire
