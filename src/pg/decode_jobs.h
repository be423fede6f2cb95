#pragma once

#include <vector>

#include "core/job.h"
#include "pg/rows.h"

namespace await::pg {

/// Decodes the columns status, content_type, file_name and size, starting at column `status`.
core::JobResult decode_result(const Rows &rows, int row, int status, int attempt);
/// The rows of await.edge_jobs(), as statements::kJobs names its columns.
std::vector<core::Job> decode_jobs(const Rows &rows);

}  // namespace await::pg
