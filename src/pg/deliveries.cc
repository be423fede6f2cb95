#include "pg/deliveries.h"

#include <memory>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

Result<core::DeliveryPage> decode_page(const Rows &rows, std::size_t) {
  core::DeliveryPage page;
  for (int row = 0; row < rows.count(); ++row) {
    if (!rows.null(row, 0))
      page.documents.push_back(rows.text(row, 0));
    if (!rows.null(row, 1))
      page.next = rows.number(row, 1);
  }
  return page;
}

Result<core::Resent> decode_resent(const Rows &rows, std::size_t) {
  std::string_view word = rows.count() == 1 ? rows.bytes(0, 0) : std::string_view();
  if (word == "retried")
    return core::Resent::retried;
  if (word == "disabled")
    return core::Resent::disabled;
  return word == "waiting" ? core::Resent::waiting : core::Resent::unknown;
}

}  // namespace

void list_deliveries(Connection &connection, const core::DeliveryQuery &query,
                     core::Reply<core::DeliveryPage> &reply) {
  Params params;
  params.maybe_text(query.state);
  query.webhook ? params.int4(*query.webhook) : params.null(kInt4);
  query.job ? params.uuid(*query.job) : params.null(kUuid);
  query.since_us ? params.int8(*query.since_us) : params.null(kInt8);
  query.after ? params.int8(*query.after) : params.null(kInt8);
  params.int4(query.limit).maybe_text(query.owner);
  connection.send(std::make_unique<Call<core::DeliveryPage>>(statements::kDeliveries, std::move(params),
                                                             reply, decode_page));
}

void retry_delivery(Connection &connection, std::int64_t id, const std::optional<std::string> &owner,
                    core::Reply<core::Resent> &reply) {
  Params params;
  params.int8(id).maybe_text(owner);
  connection.send(std::make_unique<Call<core::Resent>>(statements::kRetryDelivery, std::move(params), reply,
                                                       decode_resent));
}

}  // namespace await::pg
