#include "wire/document.h"

#include "base/text.h"
#include "wire/channel.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"
#include "wire/problem.h"
#include "wire/raw_json.h"

namespace await::wire {
namespace {

void add_result(JsonWriter &out, const core::JobResult &result, std::int64_t value_max) {
  JsonWriter inner;
  inner.text("type", result.type);
  inner.number("size", result.size);
  inner.text_or_null("name", result.name);
  if (result.body && result.size <= value_max && is_json_type(result.type) && is_json(result.body->view()))
    inner.raw("value", result.body->view());
  out.made("result", inner.take());
}

/// The members of a job that waits for its next attempt; null for other jobs.
void add_waiting(JsonWriter &out, const core::Job &job, std::string_view problem_base, const Links &links) {
  auto find = [&](std::string_view name) -> std::optional<std::string> {
    auto value = job.waiting ? raw_find(*job.waiting, name) : std::nullopt;
    return value ? std::optional<std::string>(*value) : std::nullopt;
  };
  std::optional<std::string> error = find("error");
  if (error)
    out.raw("last_error", encode_failure(error, problem_of_status(424), problem_base, links.self));
  else
    out.null("last_error");
  out.raw_or_null("retry_at", find("retry_at"));
  out.raw_or_null("max_attempts", find("max_attempts"));
}

/// The counts of an event of a batch, without those of its phases and without what failed.
std::string thin_totals(std::string_view data) {
  JsonWriter out;
  for (std::string_view name : {"total", "done", "open", "completed", "failed", "cancelled", "expired"}) {
    if (auto count = raw_find(data, name))
      out.raw(name, *count);
  }
  return out.take();
}

void add_standing(JsonWriter &out, const core::Standing &standing) {
  standing.position ? out.number("position", *standing.position) : out.null("position");
  standing.eta_ms ? out.number("eta", (*standing.eta_ms + 999) / 1000) : out.null("eta");
}

}  // namespace

bool is_json_type(std::string_view content_type) {
  std::string type = lower(trim(cut(content_type, ';')));
  return type == "application/json" || (type.size() > 5 && type.ends_with("+json"));
}

std::string job_etag(int seq, std::string_view representation) {
  return "\"" + std::to_string(seq) + "-" + std::string(representation) + "\"";
}

std::string encode_job(const core::Job &job, const Links &links, std::string_view cursor,
                       std::int64_t value_max, std::string_view problem_base,
                       const core::Standing *standing) {
  bool ended = core::is_ending(job.state);
  JsonWriter out;
  out.text("id", job.id.text());
  out.text("queue", job.queue);
  out.text("state", core::state_name(job.state));
  out.number("seq", job.seq);
  out.number("attempt", job.attempt);
  out.text_or_null("correlation_id", job.correlation_id);
  out.raw_or_null("progress", job.progress);
  out.raw_or_null("params", job.params);
  out.text_or_null("batch", job.batch);
  out.text_or_null("phase", job.phase);
  if (job.retry_of)
    out.text("retry_of", *job.retry_of);
  out.text("created_at", format_time(job.created_at));
  out.text("updated_at", format_time(job.updated_at));
  if (ended)
    out.text("finished_at", format_time(job.updated_at));
  else
    out.null("finished_at");
  out.text("cursor", cursor);
  if (job.result)
    add_result(out, *job.result, value_max);
  else
    out.null("result");
  if (job.state == core::State::failed)
    out.raw("error", encode_failure(job.error, problem_of_status(424), problem_base, links.self));
  else
    out.null("error");
  add_waiting(out, job, problem_base, links);
  if (standing != nullptr)
    add_standing(out, *standing);
  if (!links.self.empty()) {
    JsonWriter at;
    at.text("self", links.self);
    at.text("result", links.result);
    at.text("events", links.events);
    out.made("links", at.take());
  }
  return out.take();
}

std::string encode_event(const core::EventPage &page, const core::Event &event, const EventEncoding &encoding,
                         bool with_channel) {
  JsonWriter out;
  if (with_channel)
    out.text("channel", channel_of(page));
  add_event(out, page, event, encoding);
  std::string text = out.take();
  return encoding.event != nullptr ? encoding.event->apply(text) : text;
}

void add_event(JsonWriter &out, const core::EventPage &page, const core::Event &event,
               const EventEncoding &encoding) {
  core::Kind kind = kind_of(page);
  const Uuid &of = event.origin ? event.origin->job : page.job;
  bool batch = core::kind_of(of) == core::Kind::batch;
  if (kind == core::Kind::topic)
    out.text("topic", topic_name(page));
  else if (batch)
    out.text("batch", of.text());
  else
    out.text("job", of.text());
  out.number("seq", event.seq);
  out.text("type", encoding.name_of(event.type));
  if (!encoding.thin)
    out.raw_or_null("data", event.data);
  else if (batch && event.data)
    out.made("data", thin_totals(*event.data));
  if (event.result)
    add_result(out, *event.result, encoding.thin ? -1 : encoding.value_max);
  out.text("at", format_time(event.at));
  if (kind != core::Kind::topic)
    out.text_or_null("correlation_id", event.origin ? event.origin->correlation_id : page.correlation_id);
}

}  // namespace await::wire
