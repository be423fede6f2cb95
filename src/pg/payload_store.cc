#include "pg/payload_store.h"

#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

Result<Done> decode_done(const Rows &, std::size_t) { return Done{}; }

Result<core::Chunk> decode_chunk(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return core::Chunk{0, Bytes()};
  return core::Chunk{rows.number(0, 0), Bytes(rows.bytes(0, 1))};
}

}  // namespace

void PayloadStore::put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes,
                       core::Reply<Done> &reply) {
  Params params;
  params.uuid(job).int4(n).int8(pos).bytea(bytes);
  bulk_.send(std::make_unique<Call<Done>>(statements::kPut, std::move(params), reply, decode_done));
}

void PayloadStore::get(const Uuid &job, int attempt, std::int64_t pos, core::Reply<core::Chunk> &reply) {
  Params params;
  params.uuid(job).int2(attempt).int8(pos);
  bulk_.send(std::make_unique<Call<core::Chunk>>(statements::kGet, std::move(params), reply, decode_chunk));
}

void PayloadStore::drop(const Uuid &job) {
  Params params;
  params.uuid(job);
  bulk_.send(std::make_unique<Send>(statements::kDrop, std::move(params)));
}

}  // namespace await::pg
