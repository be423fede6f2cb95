#pragma once

#include <string_view>
#include <vector>

#include "core/batch.h"
#include "core/job.h"
#include "core/ports.h"
#include "pg/rows.h"

namespace await::pg {

/// Decodes the columns status, content_type, file_name and size, starting at column `status`.
core::JobResult decode_result(const Rows &rows, int row, int status, int attempt);
/// A job: the columns that statements::kJobs names, from `id`, the first of them.
core::Job decode_job(const Rows &rows, int row, int id);
/// The rows of await.edge_jobs(), as statements::kJobs names its columns.
std::vector<core::Job> decode_jobs(const Rows &rows);
/// A batch: the columns that statements::kBatches names, from `id`, the first of them.
core::Batch decode_batch(const Rows &rows, int row, int id);
/// What was refused because of the limit that `word` names: "queue" or "owner".
/// @param retry_ms  the column
core::Submitted decode_full(const Rows &rows, int row, std::string_view word, int retry_ms);

}  // namespace await::pg
