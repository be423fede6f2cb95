#include "pg/queue_stats.h"

#include <algorithm>
#include <memory>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

core::Histogram histogram(const Rows &rows, int row, int column) {
  core::Histogram out{};
  ArrayReader counts(rows.bytes(row, column));
  std::string_view count;
  for (std::size_t i = 0; i < core::Histogram::kBuckets && counts.next(count); ++i)
    out.counts[i] = big_endian(count);
  out.sum_ms = rows.number(row, column + 1);
  return out;
}

Result<std::vector<core::QueueStats>> decode(const Rows &rows, std::size_t) {
  std::vector<core::QueueStats> out;
  for (int row = 0; row < rows.count(); ++row) {
    core::QueueStats queue{};
    std::string_view name = rows.bytes(row, 0);
    queue.name_size = std::min(name.size(), core::QueueStats::kLongestName);
    std::copy_n(name.begin(), queue.name_size, queue.name_bytes.begin());
    int column = 1;
    for (auto field : {&core::QueueStats::ready, &core::QueueStats::delayed, &core::QueueStats::leased,
                       &core::QueueStats::oldest_ms, &core::QueueStats::completed, &core::QueueStats::failed,
                       &core::QueueStats::cancelled, &core::QueueStats::expired, &core::QueueStats::retries})
      queue.*field = rows.number(row, column++);
    queue.wait = histogram(rows, row, column);
    queue.run = histogram(rows, row, column + 2);
    queue.total = histogram(rows, row, column + 4);
    queue.reap_lag_ms = rows.number(row, column + 6);
    queue.paused = rows.number(row, column + 7);
    out.push_back(queue);
  }
  return out;
}

}  // namespace

void read_queue_stats(Connection &connection, int most, core::Reply<std::vector<core::QueueStats>> &reply) {
  Params params;
  params.int4(most);
  auto call = std::make_unique<Call<std::vector<core::QueueStats>>>(statements::kQueues, std::move(params),
                                                                    reply, decode);
  call->background = true;  // the metrics have what was read before
  connection.send(std::move(call));
}

}  // namespace await::pg
