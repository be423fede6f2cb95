#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ngx/nginx.h"
#include "wire/channel.h"

namespace await::http {

struct LocationConf;

/// await_allow
char *set_allow(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// Whether await_allow lets clients name this channel.
bool is_allowed(const LocationConf &location, std::string_view channel);
/// Whether a directive's word is a channel that can be watched: a constant, a name with variables, or a
/// variable that has all of it, so that clients name it.
bool is_channel(std::string_view word);
/// Compiles a directive's word and adds it to its channels. False: no memory, or nginx has said why not.
bool add_channel(ngx_conf_t *cf, ngx_str_t word, ngx_array_t *channels);
/// What a directive's channel comes to, for this request. Nothing where it is none, or its client may not
/// name it.
std::optional<std::string> channel_of(ngx_http_request_t *r, ngx_http_complex_value_t *word);
/// Whether a ticket, if its client came with one, is for this channel.
/// @param only  what the ticket is for; null: no ticket
bool is_admitted(const std::vector<std::string> *only, std::string_view channel);
bool is_admitted(ngx_http_request_t *r, std::string_view channel);
/// A user's channel is that user's; the others are asked elsewhere: a job when it is read, a topic by who
/// names it.
bool is_theirs(const wire::Channel &channel, std::optional<std::string_view> owner);

}  // namespace await::http
