// ngx_http_await_auth_jwt_module: authenticates the client by a signed token (RFC 7519), in the access phase,
// so that it can be combined with satisfy, auth_basic, allow and deny.

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/exchange/access.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/jwt.h"

extern ngx_module_t ngx_http_await_auth_jwt_module;

namespace await::http {
namespace {

constexpr std::size_t kMostFile = std::size_t{1} << 20;
constexpr std::string_view kClaim = "await_jwt_claim_";

struct JwtMain {
  ngx_flag_t used;
};

struct JwtConf {
  ngx_str_t realm;  // empty: off; null: as outside
  Place realm_at;
  ngx_http_complex_value_t *token;  // first of all; null or empty: Authorization: Bearer
  wire::JwtKeys *keys;
  wire::JwtRules *rules;
  time_t leeway;
};

template <class T>
T *make_for(ngx_conf_t *cf) {
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
  if (cleanup == nullptr)
    return nullptr;
  cleanup->data = new T;
  cleanup->handler = [](void *data) { delete static_cast<T *>(data); };
  return static_cast<T *>(cleanup->data);
}

const JwtConf &jwt_settings(ngx_http_request_t *r) {
  return *static_cast<JwtConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_auth_jwt_module));
}

/// 401, with the error for the client by RFC 6750 §3.
/// @param why  null: there is no token
ngx_int_t refuse(ngx_http_request_t *r, const JwtConf &conf, const char *why) {
  std::string how = "Bearer realm=\"" + std::string(ngx::view(conf.realm)) + "\"";
  if (why == nullptr)
    return challenge(r, how, "A token is required.");
  std::string reason = std::string("token rejected: ") + why;
  return challenge(r, how + ", error=\"invalid_token\"", "The token is invalid or has expired.",
                   reason.c_str());
}

/// The token, which is masked in the URL. After an error_page or another internal redirect this is called a
/// second time, when only asterisks are left: the token is then in RequestInfo.
std::string token_of(ngx_http_request_t *r, const JwtConf &conf) {
  if (conf.token != nullptr) {
    std::string token(ngx::evaluate(r, conf.token));
    RequestInfo &known = request_info(r);
    if (!token.empty() && token.find_first_not_of('*') == token.npos && token.size() == known.token.size())
      return known.token;
    if (!token.empty()) {
      blank_argument(r, token);
      known.token = token;
      return token;
    }
  }
  std::string field = header(r, "authorization");
  std::string_view rest = field;
  return iequals(cut(rest, ' '), "Bearer") ? std::string(trim(rest)) : std::string();
}

ngx_int_t check_token(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    const JwtConf &conf = jwt_settings(r);
    if (conf.realm.len == 0)
      return NGX_DECLINED;
    std::string token = token_of(r, conf);
    if (token.empty())
      return refuse(r, conf, nullptr);
    wire::JwtRules rules = *conf.rules;
    rules.leeway_s = conf.leeway;
    const char *why = "";
    auto claims = wire::verify_jwt(token, *conf.keys, rules, ngx_time(), why);
    if (!claims)
      return refuse(r, conf, why);
    RequestInfo &known = request_info(r);
    known.user = claims->get("sub").value_or("");
    if (auto expires = claims->time("exp"))
      known.expires_s = *expires + conf.leeway;
    known.claims = std::move(claims);
    known.verified = true;
    settle_identity(r);
    return NGX_OK;
  });
}

/// $await_user for a null name, else the claim's. Nothing until verified.
ngx_int_t get_claim(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_ERROR}, [&]() -> ngx_int_t {
    RequestInfo *known = find_request_info(r);
    std::optional<std::string> text;
    auto *name = reinterpret_cast<ngx_str_t *>(data);
    bool verified = known != nullptr && known->verified;
    if (verified && name == nullptr)
      text = known->user;
    else if (verified && known->claims)
      text = known->claims->get(std::string(ngx::view(*name).substr(kClaim.size())));
    value->no_cacheable = !verified;
    if (!text || text->empty()) {
      value->not_found = 1;
      return NGX_OK;
    }
    ngx_str_t copied = ngx::copy(r->pool, *text);
    value->len = static_cast<unsigned>(copied.len);
    value->data = copied.data;
    value->valid = 1;
    value->not_found = 0;
    return NGX_OK;
  });
}

char *set_realm(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<JwtConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (conf->realm.data != nullptr)
    return const_cast<char *>("is duplicate");
  if (ngx::view(words[1]) == "off") {
    conf->realm = ngx::borrow("");
    return cf->args->nelts == 2 ? NGX_CONF_OK
                                : invalid_value(cf, "off", "it cannot be used with other parameters");
  }
  if (ngx::view(words[1]).find_first_of("\"\\") != std::string_view::npos || words[1].len == 0)
    return invalid_value(cf, ngx::view(words[1]),
                         "a realm must not be empty or contain quotes or backslashes");
  conf->realm = words[1];
  conf->realm_at = place_of(cf);
  if (cf->args->nelts == 3) {
    std::string_view word = ngx::view(words[2]);
    if (!word.starts_with("token=$"))
      return invalid_parameter(cf, word, "it must be in the form \"token=$variable\"");
    ngx_str_t variable{words[2].len - 6, words[2].data + 6};
    if (!compile(cf, variable, &conf->token))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  static_cast<JwtMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_auth_jwt_module))->used = 1;
  return NGX_CONF_OK;
}

/// Reads a file while nginx reads its configuration, when blocking is allowed. `name` ends with a NUL. Logs
/// why the file cannot be read.
std::optional<std::string> read_file(ngx_conf_t *cf, ngx_str_t &name) {
  ngx_fd_t fd = ngx_open_file(name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
  if (fd == NGX_INVALID_FILE) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno, ngx_open_file_n " \"%V\" failed", &name);
    return std::nullopt;
  }
  std::string text;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = ngx_read_fd(fd, buffer, sizeof buffer)) > 0 && text.size() < kMostFile)
    text.append(buffer, static_cast<std::size_t>(n));
  if (n != 0)
    ngx_conf_log_error(NGX_LOG_EMERG, cf, n < 0 ? ngx_errno : 0,
                       n < 0 ? ngx_read_fd_n " \"%V\" failed" : "key file \"%V\" is larger than 1m", &name);
  ngx_close_file(fd);
  return n == 0 ? std::optional(text) : std::nullopt;
}

char *set_key_file(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<JwtConf *>(data);
  ngx_str_t name = static_cast<ngx_str_t *>(cf->args->elts)[1];
  if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK)
    return static_cast<char *>(NGX_CONF_ERROR);
  auto text = read_file(cf, name);
  if (!text)
    return static_cast<char *>(NGX_CONF_ERROR);
  if (conf->keys == nullptr)
    conf->keys = make_for<wire::JwtKeys>(cf);
  const char *why = conf->keys != nullptr ? conf->keys->add(*text) : "out of memory";
  if (why == nullptr)
    return NGX_CONF_OK;
  return config_error(cf, ("invalid key file \"" + std::string(ngx::view(name)) + "\": " + why).c_str());
}

char *set_require(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<JwtConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (conf->rules == nullptr)
    conf->rules = make_for<wire::JwtRules>(cf);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view value = ngx::view(words[i]);
    auto at = value.find('=');
    if (at == 0 || at == value.npos)
      return invalid_value(cf, value, "it must be in the form \"claim=value\"");
    conf->rules->require.push_back({std::string(value.substr(0, at)), std::string(value.substr(at + 1))});
  }
  return NGX_CONF_OK;
}

char *set_leeway(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<JwtConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (conf->leeway != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  constexpr time_t kMost = 3600;
  conf->leeway = ngx_parse_time(&words[1], 1);
  bool good = conf->leeway != NGX_ERROR && conf->leeway <= kMost;
  return good ? NGX_CONF_OK
              : invalid_value(cf, ngx::view(words[1]), "it must be a time in whole seconds, at most 1h");
}

#define HSL (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_auth_jwt"),          HSL | NGX_CONF_TAKE12, set_realm,    NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("await_auth_jwt_key_file"), HSL | NGX_CONF_TAKE1,  set_key_file, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("await_auth_jwt_require"),  HSL | NGX_CONF_1MORE,  set_require,  NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("await_auth_jwt_leeway"),   HSL | NGX_CONF_TAKE1,  set_leeway,   NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

void *create_main(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(JwtMain)); }

void *create_location(ngx_conf_t *cf) {
  auto *conf = static_cast<JwtConf *>(ngx_pcalloc(cf->pool, sizeof(JwtConf)));
  if (conf != nullptr)
    conf->leeway = NGX_CONF_UNSET;
  return conf;
}

char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  auto &outer = *static_cast<JwtConf *>(parent);
  auto &inner = *static_cast<JwtConf *>(child);
  if (inner.realm.data == nullptr) {
    inner.realm = outer.realm;
    inner.realm_at = outer.realm_at;
    inner.token = outer.token;
  }
  if (inner.keys == nullptr)
    inner.keys = outer.keys;
  if (inner.rules == nullptr)
    inner.rules = outer.rules != nullptr ? outer.rules : outer.rules = make_for<wire::JwtRules>(cf);
  ngx_conf_merge_value(inner.leeway, outer.leeway, 30);
  if (inner.realm.len > 0 && inner.keys == nullptr)
    return directive_error(cf, inner.realm_at,
                           "requires \"await_auth_jwt_key_file\", the file of the keys that sign");
  return inner.rules != nullptr ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

ngx_int_t preconfigure(ngx_conf_t *cf) {
  ngx_str_t user = ngx_string("await_user");
  ngx_http_variable_t *variable = ngx_http_add_variable(cf, &user, 0);
  if (variable == nullptr)
    return NGX_ERROR;
  variable->get_handler = get_claim;
  ngx_str_t claim = ngx_string("await_jwt_claim_");
  variable = ngx_http_add_variable(cf, &claim, NGX_HTTP_VAR_PREFIX);
  if (variable == nullptr)
    return NGX_ERROR;
  variable->get_handler = get_claim;
  return NGX_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  if (static_cast<JwtMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_auth_jwt_module))->used ==
      0)
    return NGX_OK;
  return add_access_handler(cf, check_token);
}

ngx_http_module_t context = {preconfigure, postconfigure, create_main,     nullptr,
                             nullptr,      nullptr,       create_location, merge_location};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_auth_jwt_module =
    await::http::plain_module(&await::http::context, await::http::commands);
