#include "http/exchange/console_node.h"

#include "base/version.h"
#include "http/exchange/readiness.h"
#include "ngx/nginx.h"
#include "ngx/str.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

std::string make_node(Runtime &runtime, bool may_write) {
  Backends::Readiness known = runtime.backends().readiness();
  wire::JsonWriter out;
  out.text("id", runtime.node_report().id().text());
  out.text("node", ngx::view(const_cast<const ngx_cycle_t *>(ngx_cycle)->hostname));
  out.text("version", kVersion);
  out.number("at_ms", runtime.now_ms());
  out.boolean("write", may_write);
  out.number("overview_age_ms", runtime.console().age_ms());
  add_counts(out, runtime.counters());
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
