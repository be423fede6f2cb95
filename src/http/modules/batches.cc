// ngx_http_await_batches_module: lists batches, newest first, page by page.

#include "core/cursor.h"
#include "http/conf/action.h"
#include "http/exchange/request.h"
#include "http/live/list_page.h"
#include "http/modules/dispatch.h"
#include "wire/batch_document.h"

extern ngx_module_t ngx_http_await_batches_module;

namespace await::http {
namespace {

class BatchesPage : public ListPage<core::Batch> {
 public:
  using ListPage::ListPage;

 private:
  std::string document(const core::Batch &batch) override {
    std::string cursor = core::encode_cursor(runtime_.backends().timeline(), batch.id, batch.seq);
    std::string text = wire::encode_batch(batch, std::nullopt, batch_links_of_new(r_, batch.id), cursor, {});
    return format_ != nullptr ? format_->apply(text) : text;
  }
};

Answer get_batches(ngx_http_request_t *r, Runtime &runtime) {
  auto *conf = static_cast<ListConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_batches_module));
  return answer_list<BatchesPage>(r, runtime, *conf);
}

char *set_batches(ngx_conf_t *cf, ngx_command_t *, void *data) {
  LocationConf *location = add_action(cf, &LocationConf::batches, get_batches);
  return parse_list_options(cf, location, false, *static_cast<ListConf *>(data));
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_batches"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_batches, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<ListConf, &ListConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_batches_module =
    await::http::plain_module(&await::http::context, await::http::commands);
