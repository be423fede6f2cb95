#pragma once

#include <cstddef>

#include "ngx/nginx.h"

namespace await::http {

/// Reserves a zone of shared memory for one table. Null: an error was logged.
/// @param name  a literal
/// @param pages  for what the slab allocator needs
ngx_shm_zone_t *reserve_table(ngx_conf_t *cf, const char *name, std::size_t size, std::size_t pages,
                              ngx_shm_zone_init_pt init);

/// For the `init` of such a zone: makes zone->data a table of zeros, or the one that was there before a
/// reload.
ngx_int_t init_table(ngx_shm_zone_t *zone, void *old, std::size_t size);

/// Holds the lock of a zone, if it was free.
class TryLock {
 public:
  explicit TryLock(ngx_slab_pool_t &pool) : pool_(pool), held_(ngx_shmtx_trylock(&pool.mutex) != 0) {}
  TryLock(const TryLock &) = delete;
  TryLock &operator=(const TryLock &) = delete;
  ~TryLock() {
    if (held_)
      ngx_shmtx_unlock(&pool_.mutex);
  }
  explicit operator bool() const { return held_; }

 private:
  ngx_slab_pool_t &pool_;
  bool held_;
};

}  // namespace await::http
