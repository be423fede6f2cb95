#include "wire/batch_document.h"

#include <jansson.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

using Json = std::unique_ptr<json_t, void (*)(json_t *)>;

constexpr char kVersion = 1;

Json parse(const std::string &json) {
  return {json_loadb(json.data(), json.size(), 0, nullptr), json_decref};
}

std::int64_t count_of(const json_t *totals, const char *name) {
  return json_integer_value(json_object_get(totals, name));
}

void add_counts(JsonWriter &out, const json_t *from) {
  out.number("total", count_of(from, "total"));
  out.number("done", count_of(from, "done"));
  out.number("open", count_of(from, "open"));
  out.number("completed", count_of(from, "completed"));
  out.number("failed", count_of(from, "failed"));
  out.number("cancelled", count_of(from, "cancelled"));
  out.number("expired", count_of(from, "expired"));
}

std::string all_totals(const json_t *from) {
  JsonWriter out;
  add_counts(out, from);
  std::int64_t processing = count_of(from, "processing");
  out.number("pending", count_of(from, "open") - processing);
  out.number("processing", processing);
  return out.take();
}

/// The counts of each phase in the order of the phases; null if the batch has none.
std::string phases_of(const core::Batch &batch, const json_t *totals) {
  if (!batch.phases)
    return "null";
  Json names = parse(*batch.phases);
  const json_t *counts = json_object_get(totals, "phases");
  std::string out = "{";
  for (std::size_t i = 0; i < json_array_size(names.get()); ++i) {
    const char *name = json_string_value(json_array_get(names.get(), i));
    JsonWriter one;
    add_counts(one, json_object_get(counts, name));
    out += (i > 0 ? "," : "") + json_string(name) + ":" + one.take();
  }
  return out + "}";
}

std::string summary_of(const json_t *totals) {
  JsonWriter out;
  out.number("completed", count_of(totals, "completed"));
  out.number("failed", count_of(totals, "failed"));
  out.number("cancelled", count_of(totals, "cancelled"));
  out.number("expired", count_of(totals, "expired"));
  std::unique_ptr<char, decltype(&std::free)> failures(
      json_dumps(json_object_get(totals, "failures"), JSON_COMPACT), std::free);
  out.raw("failures", failures ? failures.get() : "[]");
  return out.take();
}

std::string_view status_of(core::State state, const json_t *totals) {
  std::int64_t completed = count_of(totals, "completed");
  if (state != core::State::completed || completed == count_of(totals, "total"))
    return core::state_name(state);
  return completed == 0 ? "failed" : "completed_with_failures";
}

/// The part of a batch's id that its cursors have.
std::string_view mark_of(const Uuid &batch) {
  constexpr std::size_t kMark = 6;
  return {reinterpret_cast<const char *>(batch.raw().data()) + batch.raw().size() - kMark, kMark};
}

}  // namespace

std::string_view batch_status(const core::Batch &batch) {
  return status_of(batch.state, parse(batch.totals).get());
}

std::string encode_batch(const core::Batch &batch, std::optional<std::string_view> jobs,
                         const BatchLinks &links, std::string_view cursor, std::string_view next) {
  Json totals = parse(batch.totals);
  JsonWriter out;
  out.text("id", batch.id.text());
  out.text("state", core::state_name(batch.state));
  out.text("status", status_of(batch.state, totals.get()));
  out.boolean("ready", batch.state == core::State::completed);
  out.number("seq", batch.seq);
  out.text_or_null("correlation_id", batch.correlation_id);
  out.made("totals", all_totals(totals.get()));
  out.made("phases", phases_of(batch, totals.get()));
  out.made("summary", summary_of(totals.get()));
  out.text("created_at", format_time(batch.created_at));
  out.text("updated_at", format_time(batch.updated_at));
  if (core::is_ending(batch.state))
    out.text("finished_at", format_time(batch.updated_at));
  else
    out.null("finished_at");
  out.text("cursor", cursor);
  if (jobs)
    out.made("jobs", "[" + std::string(*jobs) + "]");
  if (jobs && next.empty())
    out.null("next");
  else if (jobs)
    out.text("next", next);
  JsonWriter at;
  at.text("self", links.self);
  at.text("events", links.events);
  out.made("links", at.take());
  return out.take();
}

std::string encode_jobs_cursor(const Uuid &batch, const Uuid &after) {
  std::string raw(1, kVersion);
  raw += mark_of(batch);
  raw.append(reinterpret_cast<const char *>(after.raw().data()), after.raw().size());
  return base64url(raw);
}

std::optional<Uuid> decode_jobs_cursor(std::string_view text, const Uuid &batch) {
  constexpr std::size_t kMost = 64;
  auto raw = text.size() <= kMost ? from_base64url(text) : std::nullopt;
  std::string_view mark = mark_of(batch);
  Uuid::Raw after{};
  if (!raw || raw->size() != 1 + mark.size() + after.size() || (*raw)[0] != kVersion ||
      std::string_view(*raw).substr(1, mark.size()) != mark)
    return std::nullopt;
  std::copy(raw->end() - static_cast<std::ptrdiff_t>(after.size()), raw->end(), after.begin());
  return Uuid(after);
}

}  // namespace await::wire
