#pragma once

#include <string>

#include "core/list_read.h"
#include "http/exchange/respond.h"
#include "http/runtime/held_request.h"
#include "wire/json_writer.h"

namespace await::http {

/// Answers with a page of a list: adds the cursor of the next page to the document, the Link, and a weak
/// entity tag of what the page shows.
/// @param out  has the entries
Answer send_page(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query, wire::JsonWriter out,
                 const std::optional<core::ListPosition> &next);

/// A request for a page of a list.
/// @tparam Page  core::JobPage or core::BatchPage
template <class Page>
class ListPage : public HeldRequest {
 public:
  /// A content handler returns the result, after check_room().
  Answer start() {
    reading_.set(1);
    runtime_.reads_of(read_).add(read_);
    return hold();
  }
  void drain() override {}  // it is answered soon anyway
  void give_up() override { finish(send_restarting(r_)); }

 protected:
  ListPage(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query) : HeldRequest(r, runtime) {
    read_.page = query;
    register_held();
  }
  const core::ListQuery &query() const { return read_.page; }
  virtual Answer answer(const Page &page) = 0;

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

  core::ListRead<Page> read_{core::Callback<Result<const Page *>>::template to<&ListPage::on_page>(this)};
  ScopedGauge reading_{Gauge::reads, 0};
};

}  // namespace await::http
