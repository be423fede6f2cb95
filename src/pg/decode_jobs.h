#pragma once

#include <vector>

#include "core/batch.h"
#include "core/job.h"
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

}  // namespace await::pg
