#include "relay/pg_leases.h"

#include <memory>
#include <utility>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::relay {
namespace {

Result<Lease> decode(const pg::Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.relay_lease returned nothing"};
  Lease out;
  if (!rows.null(0, 0))
    out.token = rows.number(0, 0);
  out.holder = rows.text(0, 1);
  out.left_ms = rows.number(0, 2);
  return out;
}

}  // namespace

void PgLeases::ask(const std::string &relay, const std::string &holder, std::optional<std::int64_t> token,
                   std::int64_t span_ms, core::Reply<Lease> &reply) {
  pg::Params params;
  params.text(relay).text(holder);
  token ? params.int8(*token) : params.null(pg::kInt8);
  params.int8(span_ms);
  auto call =
      std::make_unique<pg::Call<Lease>>(pg::statements::kRelayLease, std::move(params), reply, decode);
  call->background = true;
  connection_.send(std::move(call));
}

void PgLeases::release(const std::string &relay, std::int64_t token) {
  pg::Params params;
  params.text(relay).int8(token);
  connection_.send(std::make_unique<pg::Send>(pg::statements::kRelayRelease, std::move(params)));
}

}  // namespace await::relay
