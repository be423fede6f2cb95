#include "http/conf/settings.h"

#include <algorithm>

#include "http/conf/conf.h"
#include "ngx/str.h"

namespace await::http {
namespace {

template <class Field>
Field &field_of(ngx_command_t *command, void *conf) {
  return *reinterpret_cast<Field *>(static_cast<char *>(conf) + command->offset);
}

template <class Field>
char *set_number(ngx_conf_t *cf, ngx_command_t *command, Field &field, Field unset, std::int64_t value) {
  const auto &bounds = *static_cast<Bounds *>(command->post);
  if (field != unset)
    return const_cast<char *>("is duplicate");
  if (value == NGX_ERROR || value < bounds.least || value > bounds.most)
    return invalid_value(cf, ngx::view(static_cast<ngx_str_t *>(cf->args->elts)[1]), bounds.rule);
  field = static_cast<Field>(value);
  return NGX_CONF_OK;
}

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

char *set_time(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  ngx_str_t word = static_cast<ngx_str_t *>(cf->args->elts)[1];
  return set_number<ngx_msec_t>(cf, command, field_of<ngx_msec_t>(command, conf), NGX_CONF_UNSET_MSEC,
                                ngx_parse_time(&word, 0));
}

char *set_size(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  ngx_str_t word = static_cast<ngx_str_t *>(cf->args->elts)[1];
  return set_number<std::size_t>(cf, command, field_of<std::size_t>(command, conf), NGX_CONF_UNSET_SIZE,
                                 ngx_parse_size(&word));
}

char *set_count(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  const ngx_str_t &word = static_cast<ngx_str_t *>(cf->args->elts)[1];
  return set_number<ngx_int_t>(cf, command, field_of<ngx_int_t>(command, conf), NGX_CONF_UNSET,
                               ngx_atoi(word.data, word.len));
}

char *set_uri(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  auto *&field = field_of<ngx_http_complex_value_t *>(command, conf);
  ngx_str_t word = static_cast<ngx_str_t *>(cf->args->elts)[1];
  std::string_view text = ngx::view(word);
  if (field != nullptr)
    return const_cast<char *>("is duplicate");
  if (!text.starts_with('/') && !text.starts_with('$') && !text.starts_with("http://") &&
      !text.starts_with("https://"))
    return invalid_value(cf, text, "it must begin with \"/\", \"http://\", \"https://\" or a variable");
  if (!compile(cf, word, &field))
    return static_cast<char *>(NGX_CONF_ERROR);
  return field->lengths != nullptr ? NGX_CONF_OK
                                   : invalid_value(cf, text,
                                                   "it must contain a variable such as \"$await_id\", "
                                                   "all jobs would have the same URI");
}

const char *other_kind(const ngx_http_core_loc_conf_t &core) {
#if (NGX_PCRE)
  if (core.regex != nullptr)
    return "regular expression";
#endif
  return core.named ? "named location" : core.exact_match ? "exact match" : nullptr;
}

std::string sample(std::string_view text, std::string_view word) {
  std::string out;
  while (!text.empty()) {
    auto dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty())
      break;
    out += word;
    text.remove_prefix(1);
    if (text.starts_with('{')) {
      text.remove_prefix(std::min(text.find('}'), text.size() - 1) + 1);
    } else {
      auto *end = std::find_if_not(text.begin(), text.end(), is_name_char);
      text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    }
  }
  return out;
}

char *refuse_twice(ngx_conf_t *cf, ngx_uint_t first) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  auto key = [&](ngx_uint_t i) {
    std::string_view word = ngx::view(words[i]);
    auto equals = word.find('=');
    bool parameter = equals != word.npos && std::all_of(word.begin(), word.begin() + equals, is_name_char);
    return parameter ? word.substr(0, equals + 1) : word;
  };
  for (ngx_uint_t i = first; i < cf->args->nelts; ++i) {
    for (ngx_uint_t j = first; j < i; ++j) {
      if (key(i) == key(j))
        return invalid_parameter(cf, ngx::view(words[i]), "it is given twice");
    }
  }
  return NGX_CONF_OK;
}

}  // namespace await::http
