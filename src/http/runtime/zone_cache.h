#pragma once

#include <vector>

#include "core/batch_cache.h"
#include "core/ended_job_ring.h"
#include "core/ports.h"
#include "http/conf/conf.h"
#include "http/runtime/counters.h"
#include "io/loop.h"
#include "ngx/nginx.h"

namespace await::http {

// await_zone and await_cache: ended jobs and documents of batches in shared memory, so that what is popular
// is not read again.

char *set_zone(ngx_conf_t *cf, ngx_command_t *command, void *conf);
char *set_cache(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// Refuses zones that await_cache uses and no await_zone defines, when all directives have been read.
char *refuse_unknown_zones(ngx_conf_t *cf);

/// The zones that await_cache uses.
std::vector<ngx_shm_zone_t *> cache_zones(const MainConf &conf);

/// A zone as this nginx worker sees it. The event loop never waits for its lock: if another worker holds it,
/// the job or batch is read from the database.
class ZoneCache : public core::EndedJobCache, public core::BatchCache {
 public:
  /// @param timeline  Backends::timeline(): what was read on another timeline is not found
  ZoneCache(ngx_shm_zone_t *zone, const io::Loop &loop, const std::uint32_t &timeline, Counters &counters);
  std::optional<core::Job> find(const Uuid &id, core::ResultDetail detail) override;
  void keep(const core::Job &job, core::ResultDetail detail) override;

  core::BatchReadStart start(const Uuid &batch) override;
  std::optional<core::BatchDocument> find(const core::BatchQuery &query, std::int64_t open_ms) override;
  void keep(const core::BatchQuery &query, const core::BatchDocument &document,
            const std::optional<core::BatchReadStart> &start, std::int64_t open_ms) override;
  void outdate(const Uuid &batch) override { batches_.outdate(batch); }

 private:
  ngx_slab_pool_t &pool_;
  const io::Loop &loop_;
  const std::uint32_t &timeline_;
  Counters &counters_;
  core::EndedJobRing ring_;
  core::BatchRing batches_;
};

}  // namespace await::http
