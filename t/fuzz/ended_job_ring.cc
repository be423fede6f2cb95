// EndedJobRing and BatchRing: invalid bytes are rejected, valid ones come back the same; and whatever the
// shared memory holds, asking it is safe.

#include "core/ended_job_ring.h"

#include "core/batch_cache.h"

#include <cstring>

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  unsigned kind = in.byte() % 4;
  bool as_memory = kind % 2 == 0;
  std::string_view rest = in.rest();
  if (kind == 3) {
    if (auto document = core::BatchRing::unpack(rest)) {
      auto again = core::BatchRing::unpack(core::BatchRing::pack(*document));
      fuzz::must(again && core::BatchRing::pack(*again) == core::BatchRing::pack(*document),
                 "a document that changes on its way");
    }
    return 0;
  }
  if (!as_memory) {
    if (auto job = core::unpack_job(rest)) {
      auto again = core::unpack_job(core::pack_job(*job));
      fuzz::must(again && core::pack_job(*again) == core::pack_job(*job), "a job that changes on its way");
    }
    return 0;
  }
  alignas(8) static std::byte memory[8192];
  std::memset(memory, 0, sizeof memory);
  core::EndedJobRing fresh(memory);
  Uuid::Raw raw{};
  for (int i = 0; i < 40; ++i) {
    raw[15] = static_cast<std::uint8_t>(i * 7);
    core::Job job;
    job.id = Uuid(raw);
    job.state = core::State::completed;
    job.queue = std::string(rest.substr(0, rest.size() * static_cast<std::size_t>(i) / 40));
    fresh.keep(job, core::ResultDetail::json_value, 1);
    auto found = fresh.find(job.id, core::ResultDetail::none, 1);
    fuzz::must(!found || found->queue == job.queue, "another job's queue");
    fuzz::must(found || job.queue.size() > 400, "a small job is not kept");
  }
  return 0;
}
