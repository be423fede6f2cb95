#pragma once

#include <string>

#include "core/job.h"
#include "wire/document.h"

namespace await::wire {

/// A job as a page in HTML, which reloads itself until the job has ended.
std::string encode_job_page(const core::Job &job, const Links &links);

}  // namespace await::wire
