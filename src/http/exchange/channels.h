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

/// Whether a word of a directive is a channel: a constant, a name with variables, or a variable that is the
/// whole name, which clients choose then.
bool is_channel(std::string_view word);
/// Compiles a word of a directive and adds it to the channels. Returns false if there is no memory, or nginx
/// has logged an error.
bool add_channel(ngx_conf_t *cf, ngx_str_t word, ngx_array_t *channels);
/// The channel that a word of a directive names for this request. Empty if the client has named a topic that
/// await_allow does not allow.
std::optional<std::string> channel_of(ngx_http_request_t *r, ngx_http_complex_value_t *word);

/// A client, as far as it decides which channels it may watch.
struct ChannelClient {
  const LocationConf &location;
  std::optional<std::string_view> owner;             ///< empty: every owner's jobs
  const std::vector<std::string> *ticket = nullptr;  ///< the channels of its ticket; null: it has none
};
/// The client of a request. Valid as long as the request.
ChannelClient channel_client(ngx_http_request_t *r);

/// Where the name of a channel comes from: the configuration, or the client.
enum class NamedBy { location, client };
/// The channel of this name, if the client may watch it; empty if not, or if there is no such channel. This
/// is the only place that decides:
///   - a topic that the client names must match await_allow
///   - a user's channel is for that user only
///   - a client with a ticket may watch the channels of the ticket only
///   - the owner of a job or a batch is known when it has been read (core::Subscription)
std::optional<wire::Channel> authorized_channel(const ChannelClient &client, std::string_view name,
                                                NamedBy by);
/// Whether the ticket of the client, if it has one, is for this channel.
bool is_admitted(ngx_http_request_t *r, std::string_view name);

}  // namespace await::http
