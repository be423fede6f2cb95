#include "http/runtime/shared_table.h"

#include "http/conf/conf.h"
#include "ngx/str.h"

namespace await::http {

ngx_shm_zone_t *reserve_table(ngx_conf_t *cf, const char *name, std::size_t size, std::size_t pages,
                              ngx_shm_zone_init_pt init) {
  ngx_str_t text = ngx::borrow(name);
  ngx_shm_zone_t *zone =
      ngx_shared_memory_add(cf, &text, size + pages * ngx_pagesize, &ngx_http_await_module);
  if (zone != nullptr)
    zone->init = init;
  return zone;
}

ngx_int_t init_table(ngx_shm_zone_t *zone, void *old, std::size_t size) {
  if (old != nullptr) {
    zone->data = old;
    return NGX_OK;
  }
  auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
  if (!zone->shm.exists)
    pool->data = ngx_slab_calloc(pool, size);
  zone->data = pool->data;
  return zone->data != nullptr ? NGX_OK : NGX_ERROR;
}

}  // namespace await::http
