#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/batch.h"
#include "wire/document.h"

namespace await::wire {

/// URIs of the resources of a batch.
struct BatchLinks {
  std::string self;
  std::string events;
};

/// The word for people: the state, or, when the batch is ready, how it went: "completed" if all its jobs
/// were, "failed" if none was, otherwise "completed_with_failures".
std::string_view batch_status(const core::Batch &batch);

/// The batch document of docs/http.md.
/// @param jobs  the documents of a page of its jobs, separated by commas; without it, in a list of batches,
///   the document has neither `jobs` nor `next`
/// @param next  the cursor of the next page; empty: this is the last one
std::string encode_batch(const core::Batch &batch, std::optional<std::string_view> jobs,
                         const BatchLinks &links, std::string_view cursor, std::string_view next);

/// The cursor of the page of jobs after this job.
std::string encode_jobs_cursor(const Uuid &batch, const Uuid &after);
/// The job after which a page begins; empty if `text` is not a cursor of this batch.
std::optional<Uuid> decode_jobs_cursor(std::string_view text, const Uuid &batch);

}  // namespace await::wire
