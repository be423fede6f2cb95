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

template <std::size_t N>
std::size_t copy_name(std::string_view name, std::array<char, N> &to) {
  std::copy_n(name.begin(), std::min(name.size(), N), to.begin());
  return std::min(name.size(), N);
}

Result<std::vector<core::RelayStats>> decode_relays(const Rows &rows, std::size_t) {
  std::vector<core::RelayStats> out;
  for (int row = 0; row < rows.count(); ++row) {
    core::RelayStats sink{};
    sink.relay_size = copy_name(rows.bytes(row, 0), sink.relay_bytes);
    sink.sink_size = copy_name(rows.bytes(row, 1), sink.sink_bytes);
    sink.led = rows.number(row, 2);
    sink.behind = rows.null(row, 3) ? -1 : rows.number(row, 3);
    sink.lag_ms = rows.number(row, 4);
    sink.delivered = rows.number(row, 5);
    sink.failures = rows.number(row, 6);
    out.push_back(sink);
  }
  return out;
}

Result<core::DeliveryStats> decode_deliveries(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.delivery_stats returned no row"};
  return core::DeliveryStats{rows.number(0, 0), rows.number(0, 1), rows.number(0, 2), rows.number(0, 3),
                             rows.number(0, 4)};
}

Result<std::vector<core::QueueStats>> decode(const Rows &rows, std::size_t) {
  std::vector<core::QueueStats> out;
  for (int row = 0; row < rows.count(); ++row) {
    core::QueueStats queue{};
    queue.name_size = copy_name(rows.bytes(row, 0), queue.name_bytes);
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

void read_relay_stats(Connection &connection, int most, core::Reply<std::vector<core::RelayStats>> &reply) {
  Params params;
  params.int4(most);
  auto call = std::make_unique<Call<std::vector<core::RelayStats>>>(statements::kRelays, std::move(params),
                                                                    reply, decode_relays);
  call->background = true;
  connection.send(std::move(call));
}

void read_delivery_stats(Connection &connection, core::Reply<core::DeliveryStats> &reply) {
  auto call = std::make_unique<Call<core::DeliveryStats>>(statements::kDeliveryStats, Params(), reply,
                                                          decode_deliveries);
  call->background = true;
  connection.send(std::move(call));
}

}  // namespace await::pg
