// ngx_http_await_publish_module: POST sends an event to all clients that watch a topic.

#include "base/text.h"
#include "core/cursor.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/conf/settings.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/small_body.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/channel.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"

extern ngx_module_t ngx_http_await_publish_module;

namespace await::http {
namespace {

constexpr std::size_t kMost = 49152;  // bytes of the data of an event, as sent and as PostgreSQL writes it
constexpr char kTooLarge[] = "The event data exceeds 48 KB, as it was sent or as PostgreSQL writes it.";
constexpr char kDefaultType[] = "update";

struct PublishConf {
  ngx_http_complex_value_t *topic;
  ngx_http_complex_value_t *type;  // null: kDefaultType
  ngx_uint_t latest;               // only the latest value counts
};

/// Reads the body, stores it, and notifies every node.
class PublishRequest : public SmallBody {
 public:
  PublishRequest(ngx_http_request_t *r, Runtime &runtime, std::string topic, std::string type, bool latest)
      : SmallBody(r, runtime, kMost, {413, kTooLarge}),
        topic_(std::move(topic)),
        type_(std::move(type)),
        latest_(latest) {
    register_held();
  }

 private:
  void on_body() override {
    wire::JsonCheck check(wire::JsonCheck::Numbers::bounded);
    if (!check.feed(body()) || !check.finish())
      refuse({400, std::string("Invalid JSON: ") + check.error() + "."});
    else if (check.written() > kMost)
      refuse({413, kTooLarge});
    else
      runtime_.backends().topics().publish(topic_, type_, body(), latest_, reply_);
  }

  void on_stored(Result<int> seq) {
    if (!seq) {
      finish(send_error(r_, seq.error()));
      return;
    }
    Uuid id = wire::topic_id(topic_);
    runtime_.backends().bus().publish(id, *seq, type_);
    runtime_.counters().count(Counter::published);
    wire::JsonWriter out;
    out.text("channel", "topic:" + topic_);
    out.text("cursor", core::encode_cursor(runtime_.backends().timeline(), id, *seq));
    add_header(r_, "Cache-Control", "no-store");
    finish(send(r_, 200, "application/json", out.take()));
  }

  void cancel_waits() override { reply_.unlink(); }

  std::string topic_;
  std::string type_;
  bool latest_;
  core::Reply<int> reply_ = core::Reply<int>::to<&PublishRequest::on_stored>(this);
};

Answer publish(ngx_http_request_t *r, Runtime &runtime) {
  auto &conf = *static_cast<PublishConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_publish_module));
  std::string topic(ngx::evaluate(r, conf.topic));
  if (!wire::is_topic_name(topic))
    return send_problem(r, 404, "There is no such channel.");
  if (auto refusal = Receiver::check_room(r, runtime))
    return *refusal;
  request_info(r).delivery = "publish";
  std::string type = conf.type != nullptr ? std::string(ngx::evaluate(r, conf.type)) : kDefaultType;
  return ngx::Held::make<PublishRequest>(r, runtime, std::move(topic), std::move(type), conf.latest == 1)
      ->receive();
}

char *set_publish(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<PublishConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &LocationConf::publish, publish) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  std::string_view topic = ngx::view(words[1]);
  if (!wire::is_topic_name(sample(topic, "x")))
    return invalid_value(cf, topic, "a topic must be 1 to 128 characters of A-Z a-z 0-9 _ . : / -");
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    if (word == "latest") {
      conf->latest = 1;
      continue;
    }
    if (!word.starts_with("type="))
      return invalid_parameter(cf, word, "it must be type= or latest");
    if (!is_event_type(sample(word.substr(5), "x")))
      return invalid_parameter(
          cf, word, "a type must be 1 to 64 characters of a-z 0-9 _ . -, and none of the module's own");
    if (!compile(cf, {words[i].len - 5, words[i].data + 5}, &conf->type))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  return compile(cf, words[1], &conf->topic) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_publish"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE123, set_publish, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<PublishConf, &PublishConf::topic>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_publish_module =
    await::http::plain_module(&await::http::context, await::http::commands);
