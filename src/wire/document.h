#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/job.h"
#include "wire/shape.h"

namespace await::wire {

/// Where a job's resources are.
struct Links {
  std::string self;
  std::string result;
  std::string events;
};

/// The job document of docs/http.md.
/// @param value_max  the largest JSON result that stands in it, bytes
/// @param cursor  how far a reader of this document has read
std::string encode_job(const core::Job &job, const Links &links, std::string_view cursor,
                       std::int64_t value_max, std::string_view problem_base);

class JsonWriter;

/// Before an event's kept encodings are used: those that were made for another shape are dropped.
void suit(const core::Event &event, const Shape &shape);

/// One event as a JSON object on one line, as the location's shape has it.
/// @param mixed  it stands among those of other channels, so it names its own
std::string encode_event(const core::EventPage &page, const core::Event &event, const Shape &shape,
                         bool mixed = false);

/// An event's members, before await_format.
void add_event(JsonWriter &out, const core::EventPage &page, const core::Event &event, const Shape &shape);

/// `"<seq>-<representation>"`: a strong validator, for the newest event is all that a document depends on.
std::string job_etag(int seq, std::string_view representation);

bool is_json_type(std::string_view content_type);

}  // namespace await::wire
