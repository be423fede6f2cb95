#pragma once

#include <string>
#include <type_traits>

#include "core/list_read.h"
#include "http/conf/list_options.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/runtime/held_request.h"
#include "http/runtime/runtime.h"

namespace await::http {

/// The page that a request for a list asks for. An answer if something in it is refused.
OrAnswer<core::ListQuery> asked_list(ngx_http_request_t *r, Runtime &runtime, const ListConf &conf,
                                     bool of_batches);

/// Answers with a page of a list: adds the cursor of the next page to the document, the Link, and a weak
/// entity tag of what the page shows.
/// @param entries  their documents, with commas between them
Answer send_page(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query,
                 const std::string &entries, const std::optional<core::ListPosition> &next);

/// A request for a page of a list.
/// @tparam Entry  core::Job or core::Batch
template <class Entry>
class ListPage : public HeldRequest {
 public:
  using Page = core::PageOf<Entry>;
  static constexpr bool kOfBatches = std::is_same_v<Entry, core::Batch>;

  ListPage(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query, const wire::Format *format)
      : HeldRequest(r, runtime), format_(format) {
    read_.page = query;
    register_held();
  }
  /// A content handler returns the result, after asked_list().
  Answer start() {
    reading_.set(1);
    runtime_.reads_of(read_).add(read_);
    return hold();
  }
  void drain() override {}  // it is answered soon anyway
  void give_up() override { finish(send_restarting(r_)); }

 protected:
  virtual std::string document(const Entry &entry) = 0;

  const wire::Format *format_;  ///< of each entry; null: as in docs/http.md

 private:
  void leave() override {
    read_.unlink();
    reading_.set(0);
  }
  /// Usually destroys this.
  void on_page(Result<const Page *> page) {
    if (page && *page != nullptr)
      finish(answer(**page));
    else
      finish(send_error(r_, page ? Error{Code::internal, "PostgreSQL returned no page"} : page.error()));
  }
  Answer answer(const Page &page) {
    std::string entries;
    for (const Entry &entry : page.entries) {
      request_info(r_).id = entry.id.text();  // for await_job_uri and await_batch_uri
      entries.append(entries.empty() ? "" : ",").append(document(entry));
    }
    request_info(r_).id.clear();
    return send_page(r_, runtime_, read_.page, entries, page.next);
  }

  core::ListRead<Page> read_{core::Callback<Result<const Page *>>::template to<&ListPage::on_page>(this)};
  ScopedGauge reading_{Gauge::reads, 0};
};

/// A content handler returns the result.
/// @tparam List  derives from ListPage
template <class List>
Answer answer_list(ngx_http_request_t *r, Runtime &runtime, const ListConf &conf) {
  auto page = asked_list(r, runtime, conf, List::kOfBatches);
  if (!page)
    return page.answer();
  request_info(r).delivery = "list";
  return ngx::Held::make<List>(r, runtime, *page, conf.format)->start();
}

}  // namespace await::http
