#pragma once

#include "core/ended_job_ring.h"
#include "core/ports.h"
#include "ngx/nginx.h"

namespace await::http {

/// await_zone and await_cache: ended jobs in shared memory, so that a hot result costs no read.
char *set_zone(ngx_conf_t *cf, ngx_command_t *command, void *conf);
char *set_cache(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// A zone as this nginx worker sees it. Nobody waits for its lock: where another has it, the database is
/// asked.
class Cache : public core::EndedJobCache {
 public:
  explicit Cache(ngx_shm_zone_t *zone);
  std::optional<core::Job> find(const Uuid &id, core::ResultDetail want) override;
  void keep(const core::Job &job, core::ResultDetail want) override;

 private:
  ngx_slab_pool_t &pool_;
  core::EndedJobRing memo_;
};

}  // namespace await::http
