#include "pg/hello.h"

#include <memory>
#include <string_view>
#include <utility>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

Result<Hello> decode_hello(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.edge_hello returned no row"};
  Hello hello{rows.number(0, 0), rows.text(0, 1), {},
              {rows.text(0, 3)}, rows.text(0, 5), static_cast<int>(rows.number(0, 6))};
  ArrayReader keep(rows.bytes(0, 2));
  std::string_view ms;
  while (keep.next(ms))
    hello.keep_ms.push_back(big_endian(ms));
  ArrayReader old_keys(rows.bytes(0, 4));
  std::string_view key;
  while (old_keys.next(key))
    hello.keys.emplace_back(key);
  return hello;
}

}  // namespace

void request_hello(Connection &connection, std::span<const Lane> lanes, core::Reply<Hello> &reply,
                   bool background) {
  ArrayWriter queues(kText), priorities(kInt2);
  for (const Lane &lane : lanes) {
    queues.bytes(lane.queue);
    priorities.int2(lane.priority);
  }
  Params params;
  params.array(kTextArray, std::move(queues)).array(kInt2Array, std::move(priorities));
  auto call = std::make_unique<Call<Hello>>(statements::kHello, std::move(params), reply, decode_hello);
  call->greets = true;
  call->background = background;
  connection.send(std::move(call));
}

bool schema_is_older(int schema_version) { return schema_version < statements::kSchemaVersion; }

std::string schema_mismatch(int schema_version) {
  constexpr int kNeeded = statements::kSchemaVersion;
  if (schema_version == kNeeded)
    return {};
  if (schema_version < kNeeded)
    return "schema version " + std::to_string(schema_version) + ", this module needs " +
           std::to_string(kNeeded) + "; run \"await-ctl migrate\"";
  return "schema version " + std::to_string(schema_version) + " is newer than this module's " +
         std::to_string(kNeeded) + "; it is supported for one release, upgrade nginx-await";
}

}  // namespace await::pg
