#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/job.h"
#include "core/standing.h"
#include "wire/event_encoding.h"

namespace await::wire {

/// URIs of the resources of a job.
struct Links {
  std::string self;
  std::string result;
  std::string events;
};

/// The job document of docs/http.md.
/// @param links  empty: it has none
/// @param value_max  maximum size in bytes of a JSON result that is included
/// @param cursor  the cursor of a client that has read this document
/// @param standing  null: it was not asked for
std::string encode_job(const core::Job &job, const Links &links, std::string_view cursor,
                       std::int64_t value_max, std::string_view problem_base,
                       const core::Standing *standing = nullptr);

class JsonWriter;

/// An event as a JSON object on one line, in the format of the location.
/// @param with_channel  whether to include the channel, because the stream has several channels
std::string encode_event(const core::EventPage &page, const core::Event &event, const EventEncoding &encoding,
                         bool with_channel = false);

/// Writes the members of an event, before await_format is applied.
void add_event(JsonWriter &out, const core::EventPage &page, const core::Event &event,
               const EventEncoding &encoding);

/// The entity tag `"<seq>-<representation>"`. It is strong, because a document depends on the newest event
/// only.
std::string job_etag(int seq, std::string_view representation);

bool is_json_type(std::string_view content_type);

}  // namespace await::wire
