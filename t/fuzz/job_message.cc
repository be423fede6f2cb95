// Messages of Kafka that become jobs: headers, values, CloudEvents; and the names of topics.

#include "wire/job_message.h"

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/cloud_event.h"
#include "wire/headers.h"
#include "wire/json_check.h"
#include "wire/topic_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  using fuzz::must;
  fuzz::Input in(data, size);
  unsigned flags = in.byte();
  wire::MessageHeaders headers;
  if ((flags & 1) != 0)
    headers.emplace_back("content-type", "application/cloudevents+json");
  for (unsigned n = in.byte() % 8; n > 0; --n) {
    std::string name(in.text());
    if ((flags & 2) != 0)
      name.insert(0, (flags & 16) != 0 ? "ce_" : "await-");
    bool null = (in.byte() & 15) == 0;
    headers.emplace_back(name, null ? std::nullopt : std::optional<std::string>(in.text()));
  }
  std::optional<std::string> key;
  if ((flags & 4) != 0)
    key = std::string(in.text());
  if (auto pattern = wire::TopicPattern::parse(key.value_or("x"))) {
    std::string name = pattern->name("completed", "judge");
    must(!name.empty() && name.size() <= 249 && name != "." && name != "..", "a topic that Kafka refuses");
  }
  std::string value(in.rest());
  wire::JobMessageRules rules;
  rules.max_size = 1000;
  if ((flags & 8) != 0)
    rules.content_type = "application/json";
  auto job = wire::parse_job_message(key, value, headers, rules);
  if (!job) {
    must(!job.error().detail.empty() && is_text(repair_text(job.error().detail)), "no reason");
    return 0;
  }
  must(job->payload.size() <= 1000, "a payload above the limit");
  must(wire::is_media_type(job->content_type), "a content type that breaks its header");
  must(wire::is_json(job->options) && job->options.starts_with('{'), "options that are no object");
  if ((flags & 1) == 0 && headers.empty())
    must(job->payload == value, "a payload that was changed");
  // what we write, we read
  wire::CloudEvent event;
  event.id = event.source = event.type = event.subject = "x" + repair_text(key.value_or(""));
  event.data = wire::is_json(job->payload) ? job->payload : "null";
  event.correlation_id = repair_text(value);
  auto again = wire::parse_structured_event(wire::structured_event(event));
  must(static_cast<bool>(again), "an event of ours that cannot be read");
  must(again->correlation_id == event.correlation_id, "a text that was changed");
  return 0;
}
