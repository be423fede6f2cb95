#include "core/ended_job_ring.h"

#include "core/pack.h"

namespace await::core {

std::string pack_job(const Job &job) {
  Packer out;
  out.job(job);
  return out.take();
}

std::optional<Job> unpack_job(std::string_view bytes) {
  Unpacker in(bytes);
  Job job = in.job();
  // mutant: memory-gives-endings-only
  if (!in.good() || !is_ending(job.state) || !in.empty())
    return std::nullopt;
  return job;
}

std::optional<Job> EndedJobRing::find(const Uuid &id, ResultDetail detail, std::uint32_t timeline) {
  auto found = ring_.find(id);
  if (!found)
    return std::nullopt;
  // mutant: memory-of-this-history
  bool fits = found->kind <= static_cast<std::uint32_t>(ResultDetail::body) && found->timeline == timeline &&
              found->kind >= static_cast<std::uint32_t>(detail);
  return fits ? unpack_job(found->bytes) : std::nullopt;
}

void EndedJobRing::keep(const Job &job, ResultDetail detail, std::uint32_t timeline) {
  // mutant: memory-takes-endings-only
  if (!ring_.has_room() || !is_ending(job.state))
    return;
  auto known = ring_.find(job.id);
  if (known && known->timeline == timeline && known->kind >= static_cast<std::uint32_t>(detail))
    return;
  ring_.put(job.id, timeline, static_cast<std::uint32_t>(detail), pack_job(job));
}

}  // namespace await::core
