#include "http/conf/formats.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "ngx/pool.h"
#include "ngx/str.h"

namespace await::http {
namespace {

struct NamedFormat {
  ngx_str_t name;
  wire::Format *format;
};

wire::Format *find_format(const MainConf &main, std::string_view name) {
  auto *all = main.formats != nullptr ? static_cast<NamedFormat *>(main.formats->elts) : nullptr;
  for (ngx_uint_t i = 0; all != nullptr && i < main.formats->nelts; ++i) {
    if (ngx::view(all[i].name) == name)
      return all[i].format;
  }
  return nullptr;
}

bool is_type(std::string_view word) {
  return !word.empty() && word.size() <= 64 && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_.-").find(c) != std::string_view::npos;
  });
}

}  // namespace

bool is_event_type(std::string_view word) {
  constexpr std::string_view kOwn[] = {"pending", "processing", "completed",   "failed", "cancelled",
                                       "expired", "progress",   "batch.ready", "open",   "error",
                                       "message", "reset",      "ready",       "beat"};
  return is_type(word) && std::find(std::begin(kOwn), std::end(kOwn), word) == std::end(kOwn);
}

char *set_format(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (!is_token(ngx::view(words[1])))
    return invalid_value(cf, ngx::view(words[1]), "it must be a name without spaces");
  if (find_format(*main, ngx::view(words[1])) != nullptr)
    return invalid_value(cf, ngx::view(words[1]), "this format is already defined");
  if (main->formats == nullptr)
    main->formats = ngx_array_create(cf->pool, 4, sizeof(NamedFormat));
  auto *format = ngx::make<wire::Format>(cf->pool);
  std::string why = format->compile(ngx::view(words[2]));
  if (!why.empty())
    return config_error(cf, ("invalid template of the format \"" + std::string(ngx::view(words[1])) +
                             "\" in \"await_format\" directive: " + why)
                                .c_str());
  *static_cast<NamedFormat *>(ngx_array_push(main->formats)) = {words[1], format};
  return NGX_CONF_OK;
}

char *set_event_types(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->event_types != nullptr)
    return const_cast<char *>("is duplicate");
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  location->event_types = ngx::make<wire::EventTypes>(cf->pool);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    auto at = word.find('=');
    std::string_view name = at != word.npos ? word.substr(at + 1) : std::string_view();
    if (!is_type(word.substr(0, at)) || !is_type(name))
      return invalid_value(cf, word, "it must be in the form \"type=name\" or \"type=off\"");
    (*location->event_types)[std::string(word.substr(0, at))] = name == "off" ? "" : std::string(name);
  }
  return NGX_CONF_OK;
}

bool take_format(ngx_conf_t *cf, std::string_view word, std::string_view name, const wire::Format **out,
                 char **rc) {
  if (!word.starts_with(name) || word.substr(name.size(), 1) != "=")
    return false;
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  *out = find_format(*main, word.substr(name.size() + 1));
  *rc = *out != nullptr
            ? NGX_CONF_OK
            : invalid_parameter(cf, word,
                                "the format is unknown, define it with \"await_format\" before this line");
  return true;
}

const wire::EventEncoding *make_shape(ngx_http_request_t *r, const wire::Format *event, bool thin) {
  const LocationConf &location = location_conf(r);
  auto *shape = ngx::make<wire::EventEncoding>(ngx_cycle->pool);
  *shape = {static_cast<std::int64_t>(location.value_max), thin, event, location.event_types};
  return shape;
}

}  // namespace await::http
