#include "http/runtime/zone_cache.h"

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/runtime/shared_table.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr ngx_msec_t kOpenMs = 1000;  // by default; clients come back after a second at the earliest, too

/// An await_cache that is not off.
struct CacheUse {
  ngx_shm_zone_t *zone;
  ngx_str_t name;
  Place place;
};

/// The object to which the data of a zone's slab pool points.
struct Zone {
  std::byte *memory;
  std::size_t size;
};

ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old) {
  if (old != nullptr) {
    zone->data = old;  // a reload keeps the cached jobs
    return NGX_OK;
  }
  auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
  if (zone->shm.exists) {
    zone->data = pool->data;
    return NGX_OK;
  }
  auto *made = static_cast<Zone *>(ngx_slab_calloc(pool, sizeof(Zone)));
  if (made == nullptr)
    return NGX_ERROR;
  // the largest block that can be allocated
  pool->log_nomem = 0;
  for (made->size = zone->shm.size / ngx_pagesize * ngx_pagesize; made->size > ngx_pagesize;
       made->size -= ngx_pagesize) {
    made->memory = static_cast<std::byte *>(ngx_slab_calloc(pool, made->size));
    if (made->memory != nullptr)
      break;
  }
  if (made->memory == nullptr)
    return NGX_ERROR;
  pool->data = zone->data = made;
  return NGX_OK;
}

/// The part of a zone that has the generations of batches. The more there are, the fewer batches share one.
std::size_t generations_size(const Zone &zone) { return zone.size / 32 / ngx_pagesize * ngx_pagesize; }

std::span<std::uint64_t> generations_of(ngx_shm_zone_t *zone) {
  auto *data = static_cast<Zone *>(zone->data);
  return {reinterpret_cast<std::uint64_t *>(data->memory), generations_size(*data) / sizeof(std::uint64_t)};
}

std::span<std::byte> ring_of(ngx_shm_zone_t *zone) {
  auto *data = static_cast<Zone *>(zone->data);
  return std::span(data->memory, data->size).subspan(generations_size(*data));
}

char *set_open(ngx_conf_t *cf, std::string_view word, ngx_msec_t &open) {
  constexpr ngx_int_t kMostMs = 60'000;
  std::string_view rest = word;
  std::string_view key = cut(rest, '=');
  ngx_str_t text = ngx::borrow(rest);
  ngx_int_t ms = ngx_parse_time(&text, 0);
  if (key != "open" || rest.empty() || ms == NGX_ERROR)
    return invalid_value(cf, word, "it must be in the form \"open=time\", such as \"open=1s\"");
  if (ms > kMostMs)
    return invalid_value(cf, word, "the time must be equal to or less than 1m");
  open = static_cast<ngx_msec_t>(ms);
  return NGX_CONF_OK;
}

ngx_shm_zone_t *zone_named(ngx_conf_t *cf, std::string_view name, std::size_t size) {
  ngx_str_t text = ngx::copy(cf->pool, "await_zone_" + std::string(name));
  return ngx_shared_memory_add(cf, &text, size, &ngx_http_await_module);
}

}  // namespace

char *set_zone(ngx_conf_t *cf, ngx_command_t *, void *) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  std::string_view rest = ngx::view(words[1]);
  std::string_view key = cut(rest, '=');
  std::string_view name = cut(rest, ':');
  ngx_str_t size_text = ngx::borrow(rest);
  ssize_t size = ngx_parse_size(&size_text);
  if (key != "zone" || !is_token(name) || size == NGX_ERROR)
    return invalid_value(cf, ngx::view(words[1]),
                         "it must be in the form \"zone=name:size\", such as \"zone=results:16m\"");
  if (size < 1024 * 1024)
    return invalid_value(cf, ngx::view(words[1]), "the size must be equal to or greater than 1m");
  ngx_shm_zone_t *zone = zone_named(cf, name, 0);  // an await_cache may have named it already
  if (zone == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  if (zone->init != nullptr)
    return invalid_value(cf, name, "this zone is already defined");
  zone->shm.size = static_cast<std::size_t>(size);
  zone->init = init_zone;
  return NGX_CONF_OK;
}

char *set_cache(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->cache != NGX_CONF_UNSET_PTR)
    return const_cast<char *>("is duplicate");
  location->cache = nullptr;
  location->cache_open = kOpenMs;
  if (ngx::view(words[1]) == "off")
    return cf->args->nelts == 2 ? NGX_CONF_OK
                                : invalid_value(cf, ngx::view(words[2]), "\"off\" has no parameters");
  if (!is_token(ngx::view(words[1])))
    return invalid_value(cf, ngx::view(words[1]),
                         "it must be \"off\" or the name of a zone defined by \"await_zone\"");
  if (cf->args->nelts == 3) {
    if (char *refused = set_open(cf, ngx::view(words[2]), location->cache_open); refused != NGX_CONF_OK)
      return refused;
  }
  location->cache = zone_named(cf, ngx::view(words[1]), 0);
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (main->cache_uses == nullptr)
    main->cache_uses = ngx_array_create(cf->pool, 4, sizeof(CacheUse));
  auto *use =
      main->cache_uses != nullptr ? static_cast<CacheUse *>(ngx_array_push(main->cache_uses)) : nullptr;
  if (location->cache == nullptr || use == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  *use = {location->cache, words[1], place_of(cf)};
  return NGX_CONF_OK;
}

char *refuse_unknown_zones(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  auto *uses = main->cache_uses != nullptr ? static_cast<CacheUse *>(main->cache_uses->elts) : nullptr;
  for (ngx_uint_t i = 0; uses != nullptr && i < main->cache_uses->nelts; ++i) {
    std::string name(ngx::view(uses[i].name));
    if (uses[i].zone->init == nullptr)
      return error_at(cf, uses[i].place,
                      "unknown zone \"" + name +
                          "\" in \"await_cache\" directive, define it in the \"http\" block, as by "
                          "\"await_zone zone=" +
                          name + ":16m;\"");
  }
  return NGX_CONF_OK;
}

std::vector<ngx_shm_zone_t *> cache_zones(const MainConf &conf) {
  std::vector<ngx_shm_zone_t *> out;
  auto *uses = conf.cache_uses != nullptr ? static_cast<CacheUse *>(conf.cache_uses->elts) : nullptr;
  for (ngx_uint_t i = 0; uses != nullptr && i < conf.cache_uses->nelts; ++i)
    out.push_back(uses[i].zone);
  return out;
}

ZoneCache::ZoneCache(ngx_shm_zone_t *zone, const io::Loop &loop, const std::uint32_t &timeline,
                     Counters &counters)
    : pool_(*reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)),
      loop_(loop),
      timeline_(timeline),
      counters_(counters),
      ring_(ring_of(zone)),
      batches_(ring_of(zone), generations_of(zone)) {}

std::optional<core::Job> ZoneCache::find(const Uuid &id, core::ResultDetail detail) {
  TryLock lock(pool_);
  auto found = lock ? ring_.find(id, detail, timeline_) : std::nullopt;
  counters_.count(found ? Counter::cache_hits : Counter::cache_misses);
  return found;
}

void ZoneCache::keep(const core::Job &job, core::ResultDetail detail) {
  if (TryLock lock(pool_); lock)
    ring_.keep(job, detail, timeline_);
}

core::BatchReadStart ZoneCache::start(const Uuid &batch) {
  return {batches_.generation(batch), timeline_, loop_.monotonic_ms()};
}

std::optional<core::BatchDocument> ZoneCache::find(const core::BatchQuery &query, std::int64_t open_ms) {
  std::string packed;
  if (TryLock lock(pool_); lock)
    packed = batches_.find(query, open_ms, timeline_, loop_.monotonic_ms());
  return packed.empty() ? std::nullopt : core::BatchRing::unpack(packed);
}

void ZoneCache::keep(const core::BatchQuery &query, const core::BatchDocument &document,
                     const std::optional<core::BatchReadStart> &start, std::int64_t open_ms) {
  std::string packed = core::BatchRing::pack(document);
  if (TryLock lock(pool_); lock)
    batches_.keep(query, document, packed, start, timeline_, open_ms);
  else
    batches_.outdate(query.id);
}

}  // namespace await::http
