#include "http/exchange/console_node.h"

#include <span>
#include <string_view>

#include "base/version.h"
#include "http/exchange/readiness.h"
#include "ngx/nginx.h"
#include "ngx/str.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

struct Named {
  Counter counter;
  const char *name;
};

// clang-format off
constexpr Named kCounters[] = {
    {Counter::submitted, "submitted"},   {Counter::replayed, "replayed"},      {Counter::published, "published"},
    {Counter::statements, "statements"}, {Counter::cache_hits, "cache_hits"},  {Counter::cache_misses, "cache_misses"},
    {Counter::batch_hits, "batch_hits"}, {Counter::batch_misses, "batch_misses"}, {Counter::paused, "paused"},
    {Counter::cut, "cut"},               {Counter::resets, "resets"},          {Counter::revoked, "revoked"},
};
constexpr Counter kRefused[] = {Counter::refused_submissions, Counter::refused_reads, Counter::refused_held,
                                Counter::refused_uploads};
// clang-format on

template <class Number>
std::string list_of(std::span<const Number> numbers) {
  std::string out;
  for (auto number : numbers)
    out += (out.empty() ? "[" : ",") + std::to_string(number);
  return out + "]";
}

std::string latency_of(const Counters &counters) {
  wire::JsonWriter out;
  out.made("bounds", list_of(std::span<const std::int64_t>(core::Latency::kBoundsMs)));
  out.made("submit", list_of(std::span<const std::int64_t>(counters.sum(Timed::submit).counts)));
  out.made("deliver", list_of(std::span<const std::int64_t>(counters.sum(Timed::deliver).counts)));
  return out.take();
}

std::string make_node(Runtime &runtime, bool may_write) {
  const Counters &counters = runtime.counters();
  Backends::Readiness known = runtime.backends().readiness();
  wire::JsonWriter out;
  out.text("id", runtime.node_report().id().text());
  out.text("node", ngx::view(const_cast<const ngx_cycle_t *>(ngx_cycle)->hostname));
  out.text("version", kVersion);
  out.number("at_ms", runtime.now_ms());
  out.boolean("write", may_write);
  out.number("overview_age_ms", runtime.console().age_ms());
  add_gauges(out, counters);
  for (const auto &[counter, name] : kCounters)
    out.number(name, counters.sum(counter));
  std::int64_t refused = 0;
  for (Counter counter : kRefused)
    refused += counters.sum(counter);
  out.number("refused", refused);
  out.made("latency", latency_of(counters));
  out.made("problems", encode_problems(known.problems));
  out.made("degraded", encode_problems(known.degraded));
  return out.take();
}

}  // namespace

const std::string &console_node(Runtime &runtime, bool may_write) {
  std::string &node = runtime.console().shared(may_write);
  if (node.empty())
    node = make_node(runtime, may_write);
  return node;
}

}  // namespace await::http
