#pragma once

#include "core/ended_job_ring.h"
#include "core/ports.h"
#include "http/runtime/counters.h"
#include "ngx/nginx.h"

namespace await::http {

// await_zone and await_cache: ended jobs in shared memory, so that a popular result is not read again.

char *set_zone(ngx_conf_t *cf, ngx_command_t *command, void *conf);
char *set_cache(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// Refuses zones that await_cache uses and no await_zone defines, when all directives have been read.
char *refuse_unknown_zones(ngx_conf_t *cf);

/// A zone as this nginx worker sees it. The event loop never waits for its lock: if another worker holds it,
/// the job is read from the database.
class ZoneCache : public core::EndedJobCache {
 public:
  /// @param timeline  Backends::timeline(): a job of another timeline is not found
  ZoneCache(ngx_shm_zone_t *zone, const std::uint32_t &timeline, Counters &counters);
  std::optional<core::Job> find(const Uuid &id, core::ResultDetail detail) override;
  void keep(const core::Job &job, core::ResultDetail detail) override;

 private:
  ngx_slab_pool_t &pool_;
  const std::uint32_t &timeline_;
  Counters &counters_;
  core::EndedJobRing ring_;
};

}  // namespace await::http
