#include "relay/table_source.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "pg/call.h"
#include "pg/statements.h"
#include "wire/json_check.h"
#include "wire/relay_document.h"

namespace await::relay {
namespace {

/// The columns of statements::kRelayPage.
enum Column {
  kCursor,
  kComplete,
  kJob,
  kSeq,
  kType,
  kState,
  kAttempt,
  kAt,
  kQueue,
  kOwner,
  kBatch,
  kPhase,
  kCorrelationId,
  kTrace,
  kData,
  kStatus,
  kContentType,
  kFileName,
  kSize,
  kValue,
  kHints
};

constexpr std::size_t kMostText = 4096;

/// No function of ours stores a longer text, but somebody may have edited the row: an event that is too large
/// for a sink without its data, too, would stop that.
std::string short_text(std::string_view text) {
  return text.size() <= kMostText ? std::string(text) : repair_text(text.substr(0, kMostText));
}

std::optional<std::string> short_text(std::optional<std::string> text) {
  return text ? std::optional(short_text(std::string_view(*text))) : std::nullopt;
}

RelayEvent event_of(const pg::Rows &rows, int row) {
  RelayEvent out;
  out.job = rows.uuid(row, kJob);
  out.seq = static_cast<int>(rows.number(row, kSeq));
  out.type = short_text(rows.bytes(row, kType));
  out.state = short_text(rows.bytes(row, kState));
  out.attempt = static_cast<int>(rows.number(row, kAttempt));
  out.at_ms = rows.time_ms(row, kAt);
  out.queue = short_text(rows.bytes(row, kQueue));
  out.owner = short_text(rows.maybe_text(row, kOwner));
  out.batch = rows.maybe_text(row, kBatch);
  out.phase = short_text(rows.maybe_text(row, kPhase));
  out.correlation_id = short_text(rows.maybe_text(row, kCorrelationId));
  out.trace = short_text(rows.maybe_text(row, kTrace));
  out.data = rows.maybe_text(row, kData);
  if (out.type == "completed" && !rows.null(row, kStatus))
    out.result = wire::encode_relay_result(static_cast<int>(rows.number(row, kStatus)),
                                           short_text(rows.bytes(row, kContentType)), rows.number(row, kSize),
                                           short_text(rows.maybe_text(row, kFileName)));
  if (!rows.null(row, kValue) && wire::is_json(rows.bytes(row, kValue)))
    out.value = rows.text(row, kValue);
  pg::ArrayReader hints(rows.bytes(row, kHints));
  for (std::string_view channel, message; hints.next(channel) && hints.next(message);)
    out.hints.emplace_back(channel, message);
  if (out.queue == ".topic") {
    // the column has "topic:<name>"
    out.topic = out.owner && out.owner->size() > 6 ? out.owner->substr(6) : "";
    out.owner.reset();
    out.queue.clear();
  }
  return out;
}

}  // namespace

Result<RelayPage> decode_relay_page(const pg::Rows &rows, std::size_t) {
  if (rows.count() == 0)
    return Error{Code::internal, "await.relay_page returned nothing"};
  RelayPage out;
  out.cursor = out.next = rows.text(0, kCursor);
  out.complete = rows.boolean(0, kComplete);
  for (int row = 0; row < rows.count(); ++row) {
    if (!rows.null(row, kJob))
      out.events.push_back(event_of(rows, row));
  }
  return out;
}

TableSource::TableSource(io::Loop &loop, pg::Connection &connection, pg::Connection &bulk,
                         std::int64_t poll_ms)
    : connection_(connection),
      bulk_(bulk),
      poll_ms_(poll_ms),
      timer_(loop.timer([this] { look(); }, io::Loop::Quit::may)) {}

void TableSource::listen(Listener &listener) {
  listeners_.push_back(&listener);
  if (!reply_.waiting() && !timer_->pending())
    timer_->set(0);
}

void TableSource::forget(Listener &listener) { std::erase(listeners_, &listener); }

void TableSource::read(Listener &listener, const std::string &position, int limit,
                       core::Reply<RelayPage> &reply) {
  pg::Params params;
  params.text(position).int4(limit).int4(kValueMax).int4(listener.most_hints());
  pg::Connection &to = listener.behind() && bulk_.ready() ? bulk_ : connection_;
  to.send(std::make_unique<pg::Call<RelayPage>>(pg::statements::kRelayPage, std::move(params), reply,
                                                decode_relay_page));
}

void TableSource::on_connection() {
  if (!reply_.waiting() && !listeners_.empty())
    timer_->set(0);
  if (setting_reply_.waiting())
    setting_reply_.unlink();  // of the connection before
  auto ask = std::make_unique<pg::Call<bool>>(pg::statements::kNotifySetting, pg::Params(), setting_reply_,
                                              decode_setting);
  ask->background = true;
  connection_.send(std::move(ask));
}

Result<bool> TableSource::decode_setting(const pg::Rows &rows, std::size_t) {
  return rows.count() == 1 && rows.boolean(0, 0);
}

/// Through a pooler the LISTEN would be left to the next client of the session.
void TableSource::on_setting(Result<bool> notifies) {
  if (!notifies || !*notifies || !connection_.is_direct())
    return;
  for (const char *listen : {pg::statements::kListenHint, pg::statements::kListenWork})
    connection_.send(std::make_unique<pg::Send>(listen, pg::Params()));
}

void TableSource::look() {
  if (listeners_.empty() || reply_.waiting())
    return;
  auto call = std::make_unique<pg::Call<std::string>>(pg::statements::kSnapshot, pg::Params(), reply_,
                                                      decode_snapshot);
  call->background = true;
  connection_.send(std::move(call));
}

Result<std::string> TableSource::decode_snapshot(const pg::Rows &rows, std::size_t) {
  return rows.count() == 1 ? rows.text(0, 0) : std::string();
}

void TableSource::on_snapshot(Result<std::string> snapshot) {
  timer_->set(poll_ms_);
  if (!snapshot)
    snapshot_.clear();
  else if (std::exchange(snapshot_, *snapshot) != *snapshot)
    tell();
}

void TableSource::tell() {
  std::vector<Listener *> listeners = listeners_;
  for (Listener *listener : listeners) {
    if (std::find(listeners_.begin(), listeners_.end(), listener) != listeners_.end())
      listener->on_news();
  }
}

}  // namespace await::relay
