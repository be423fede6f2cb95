#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/batch.h"
#include "core/job.h"

namespace await::core {

/// A position in a list of jobs: the last job that was looked at. It stays valid whatever is inserted or
/// deleted.
struct ListPosition {
  Uuid id;
  std::int64_t eid = 0;  ///< the order in which jobs were stored
};

/// A page of a list of jobs or batches, newest first: what is on the list, and where the page begins. What
/// is empty does not matter.
struct ListQuery {
  bool of_batches = false;
  std::optional<std::string> owner;
  std::optional<std::string> queue;
  std::optional<std::string> states;  ///< in the order of State, with commas between them
  std::optional<Uuid> batch;
  std::optional<std::int64_t> since_us;  ///< created at this Unix time in microseconds, or later
  std::optional<std::int64_t> until_us;  ///< created before
  std::optional<ListPosition> after;     ///< empty: the first page
  int limit = 50;                        ///< of jobs, or batches
};

/// A page of a list. It may have fewer entries than the limit, or none, and be followed by another one: how
/// many jobs are looked at for a page is bounded.
template <class Entry>
struct PageOf {
  std::vector<Entry> entries;
  std::optional<ListPosition> next;
};
using JobPage = PageOf<Job>;      ///< without results' bodies
using BatchPage = PageOf<Batch>;  ///< their totals are those of the newest event

/// What is on the list, without the position and the limit, as bytes that differ for different lists.
std::string list_key(const ListQuery &query);

}  // namespace await::core
