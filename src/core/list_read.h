#pragma once

#include <string>

#include "core/job_list.h"
#include "core/read_batcher.h"

namespace await::core {

/// A read of one page of a list, for ReadBatcher: as JobRead, and readers of the same page share it.
/// @tparam Page  JobPage or BatchPage
template <class Page>
class ListRead : public Hook<> {
 public:
  using Row = Page;
  using Query = ListQuery;
  using Key = std::string;
  explicit ListRead(Callback<Result<const Page *>> callback) : on_row(callback) {}
  ListQuery page;
  bool urgent = false;          ///< unused
  std::uint16_t batch_max = 0;  ///< set by ReadBatcher
  Callback<Result<const Page *>> on_row;

  Key key() const {
    std::string from = page.after ? page.after->id.text() + std::to_string(page.after->eid) : "";
    return from + "|" + std::to_string(page.limit) + "|" + list_key(page);
  }
  const Query &query() const { return page; }
  static void join(Query &) {}
  static std::size_t weight(const Query &) { return 1; }
  static constexpr unsigned kCost = 64;  // of a callback, which writes up to 200 documents
  static std::optional<Page> cached() { return std::nullopt; }
  void on_cached(const Page &) {}
  void store_in_cache(const Page *) {}
};

/// The pages in the order of their queries, for ReadBatcher.
template <class Page, class Flight>
void index_pages(Flight &flight, const std::vector<Page> &pages, std::map<std::string, const Page *> &found) {
  for (const auto &[key, at] : flight.index) {
    if (at < pages.size())
      found[key] = &pages[at];
  }
}

template <>
inline void ReadBatcher<ListRead<JobPage>>::send_query(std::span<const ListQuery> queries,
                                                       Reply<std::vector<JobPage>> &reply) {
  store_.lists(queries, reply);
}
template <>
inline void ReadBatcher<ListRead<JobPage>>::index_rows(Flight &flight, const std::vector<JobPage> &pages,
                                                       std::map<std::string, const JobPage *> &found) {
  index_pages(flight, pages, found);
}
template <>
inline void ReadBatcher<ListRead<BatchPage>>::send_query(std::span<const ListQuery> queries,
                                                         Reply<std::vector<BatchPage>> &reply) {
  store_.lists(queries, reply);
}
template <>
inline void ReadBatcher<ListRead<BatchPage>>::index_rows(Flight &flight, const std::vector<BatchPage> &pages,
                                                         std::map<std::string, const BatchPage *> &found) {
  index_pages(flight, pages, found);
}

}  // namespace await::core
