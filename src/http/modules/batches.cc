// ngx_http_await_batches_module: lists batches, newest first, page by page.

#include "core/cursor.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/live/list_page.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/batch_document.h"

extern ngx_module_t ngx_http_await_batches_module;

namespace await::http {
namespace {

struct BatchesConf {
  const wire::Format *format;  // of each batch; null: as in docs/http.md
  ngx_uint_t used;
  ngx_uint_t all;  // everybody's batches
};

class BatchesPage : public ListPage<core::BatchPage> {
 public:
  BatchesPage(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query,
              const wire::Format *format)
      : ListPage(r, runtime, query), format_(format) {}

 private:
  Answer answer(const core::BatchPage &page) override {
    std::string batches;
    for (const core::Batch &batch : page.batches)
      batches.append(batches.empty() ? "" : ",").append(document(batch));
    request_info(r_).id.clear();
    wire::JsonWriter out;
    out.made("batches", "[" + batches + "]");
    return send_page(r_, runtime_, query(), std::move(out), page.next);
  }
  std::string document(const core::Batch &batch) {
    request_info(r_).id = batch.id.text();  // for await_batch_uri
    std::string cursor = core::encode_cursor(runtime_.backends().timeline(), batch.id, batch.seq);
    std::string text = wire::encode_batch(batch, std::nullopt, batch_links_of_new(r_, batch.id), cursor, {});
    return format_ != nullptr ? format_->apply(text) : text;
  }

  const wire::Format *format_;
};

Answer get_batches(ngx_http_request_t *r, Runtime &runtime) {
  auto &conf = *static_cast<BatchesConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_batches_module));
  constexpr std::string_view kOffers[] = {"application/json"};
  if (wire::choose(header(r, "accept"), kOffers) < 0)
    return send_problem(r, 406, "A list of batches is available as application/json.");
  ListScope scope;
  scope.of_batches = true;
  if (conf.all == 0)
    scope.owner = owner_of(r);
  auto page = asked_page(r, scope, runtime.keys().cursor_keys());
  if (!page)
    return page.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  request_info(r).delivery = "list";
  return ngx::Held::make<BatchesPage>(r, runtime, std::move(*page), conf.format)->start();
}

char *set_batches(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<BatchesConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  LocationConf *location = add_action(cf, &LocationConf::batches, get_batches);
  if (location == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  conf->used = 1;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "all")
      conf->all = 1;
    else if (!take_format(cf, word, "format", &conf->format, &rc))
      return invalid_parameter(cf, word, "it must be all or format=");
    if (rc != NGX_CONF_OK)
      return rc;
  }
  if (conf->all == 0)
    location->owner_needed_at = place_of(cf);
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_batches"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_batches, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<BatchesConf, &BatchesConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_batches_module =
    await::http::plain_module(&await::http::context, await::http::commands);
