#include "wire/relay_document.h"

#include "base/text.h"
#include "core/kind.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

/// The result, with the value of a small JSON result in it.
std::string with_value(const std::string &result, const std::optional<std::string> &value) {
  if (!value)
    return result;
  JsonWriter added;
  added.raw("value", *value);
  return result.substr(0, result.size() - 1) + "," + added.take().substr(1);
}

}  // namespace

std::string encode_relay_event(const core::RelayEvent &event, bool thin) {
  JsonWriter out;
  out.text("id", event.id());
  core::Kind kind = core::kind_of(event.job);
  if (event.topic)
    out.text("topic", *event.topic);
  else if (kind == core::Kind::batch)
    out.text("batch", event.job.text());
  else
    out.text("job", event.job.text());
  out.number("seq", event.seq);
  out.text("type", event.type);
  if (!thin)
    out.raw_or_null("data", event.data);
  if (event.result)
    out.made("result", thin ? *event.result : with_value(*event.result, event.value));
  out.text("at", format_time(event.at_ms));
  if (event.topic)
    return out.take();
  out.text_or_null("correlation_id", event.correlation_id);
  out.text("state", event.state);
  if (kind == core::Kind::job) {
    out.text("queue", event.queue);
    out.number("attempt", event.attempt);
    if (event.batch)
      out.text("batch", *event.batch);
    if (event.phase)
      out.text("phase", *event.phase);
  }
  out.text_or_null("owner", event.owner);
  if (event.trace)
    out.text("trace", *event.trace);
  return out.take();
}

std::string encode_relay_result(int status, std::string_view type, std::int64_t size,
                                const std::optional<std::string> &name) {
  JsonWriter out;
  out.text("type", type);
  out.number("size", size);
  out.text_or_null("name", name);
  out.number("status", status);
  return out.take();
}

}  // namespace await::wire
