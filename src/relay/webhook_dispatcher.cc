#include "relay/webhook_dispatcher.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "pg/call.h"
#include "pg/statements.h"
#include "wire/webhook_outcome.h"
#include "wire/webhook_signature.h"

namespace await::relay {
namespace {

constexpr std::int64_t kLongestPauseMs = std::int64_t{24} * 3600 * 1000;  // of a Retry-After
constexpr std::int64_t kLongestHostPauseMs = std::int64_t{3600} * 1000;
constexpr std::size_t kLongestError = 300;

std::string text_of(std::string_view text) { return repair_text(printable(text).substr(0, kLongestError)); }

}  // namespace

/// An attempt to send a delivery; after its end, kept until the outcome is stored.
class WebhookDispatcher::Attempt : public curl::Listener {
 public:
  Attempt(WebhookDispatcher &owner, Due due)
      : owner_(owner), due_(std::move(due)), began_ms_(owner.loop_.monotonic_ms()) {}

  const Due &due() const { return due_; }

  /// The error is why nothing was sent.
  Result<Done> start() {
    curl::Request request;
    request.method = "POST";
    request.url = due_.url;
    std::int64_t now = owner_.loop_.unix_ms() / 1000;
    request.headers = {
        {"Content-Type", "application/json"},
        {"webhook-id", due_.event},
        {"webhook-timestamp", std::to_string(now)},
        {"webhook-signature", wire::webhook_signature(*due_.keys, due_.event, now, due_.body)}};
    request.body = due_.body;
    request.cut_body = true;
    request.whole_ms = owner_.options_.timeout_ms;
    request.connect_ms = std::min(request.connect_ms, request.whole_ms);
    auto exchange = owner_.client_.start(std::move(request), *this);
    if (!exchange)
      return exchange.error();
    exchange_ = std::move(*exchange);
    return Done{};
  }

 private:
  void on_head(curl::Head head) override { head_ = std::move(head); }
  bool on_piece(std::string_view) override { return true; }  // what it says is of no interest

  void on_end(const curl::Ending &ending) override {
    std::int64_t now = owner_.loop_.monotonic_ms();
    bool answered = ending.failure == curl::Failure::none;
    // that it is an error counts, also if the rest of the answer does not come
    int status = answered || head_.status >= 300 ? head_.status : 0;
    auto retry = curl::retry_after_ms(head_, owner_.loop_.unix_ms(), kLongestPauseMs);
    bool pauses = (status == 429 || status == 503) && retry;
    auto judged = wire::judge_webhook(status, retry, due_.attempts + 1, owner_.options_.first_delay_ms,
                                      owner_.random_.unit());
    Outcome out{due_.id, due_.attempts, word(judged.kind), judged.delay_ms, status, {}, now - began_ms_};
    if (!answered) {
      out.error = text_of(std::string(curl::failure_name(ending.failure)) + ": " + ending.detail);
      if (owner_.hosts_.failed(due_.host, now, trouble_of(ending.failure)))
        owner_.log_.error("webhooks cannot be sent to " + due_.host + ", and are tried again: " + out.error);
    } else {
      std::int64_t pause = pauses ? std::min(*retry, kLongestHostPauseMs) : 0;
      if (owner_.hosts_.answered(due_.host, now, pause, out.ms))
        owner_.log_.info("webhooks can be sent to " + due_.host + " again");
      if (judged.kind != wire::WebhookOutcome::Kind::delivered)
        out.error = "the response has the status " + std::to_string(status) +
                    (status >= 300 && status < 400 ? "; redirects are not followed" : "");
    }
    if (judged.kind == wire::WebhookOutcome::Kind::gone && due_.webhook > 0)
      owner_.log_.error("webhook " + std::to_string(due_.webhook) + ", to " + due_.host +
                        ", is disabled: the receiver answered 410; \"await-ctl webhooks enable " +
                        std::to_string(due_.webhook) + "\" enables it");
    owner_.settle(*this, std::move(out));
  }

  static WebhookHosts::Trouble trouble_of(curl::Failure failure) {
    using curl::Failure;
    using Trouble = WebhookHosts::Trouble;
    bool away = failure == Failure::resolve || failure == Failure::forbidden || failure == Failure::connect ||
                failure == Failure::tls;
    return away ? Trouble::away : failure == Failure::timeout ? Trouble::slow : Trouble::of_url;
  }

  static std::string word(wire::WebhookOutcome::Kind kind) {
    using Kind = wire::WebhookOutcome::Kind;
    return kind == Kind::delivered ? "delivered" : kind == Kind::gone ? "gone" : "retry";
  }

  WebhookDispatcher &owner_;
  Due due_;
  std::int64_t began_ms_;
  curl::Head head_;
  std::unique_ptr<curl::Exchange> exchange_;
};

WebhookDispatcher::WebhookDispatcher(io::Loop &loop, io::Log &log, io::Random &random, pg::Connection &reads,
                                     pg::Connection &writes, Options options)
    : loop_(loop),
      log_(log),
      random_(random),
      reads_(reads),
      writes_(writes),
      options_(std::move(options)),
      client_(loop, options_.client),
      hosts_(options_.hosts),
      look_timer_(loop.timer([this] { look(); }, io::Loop::Quit::may)),
      store_timer_(loop.timer([this] { store(); }, io::Loop::Quit::may)) {}

WebhookDispatcher::~WebhookDispatcher() = default;

void WebhookDispatcher::lead(bool leads) {
  leads_ = leads;
  settled_ = false;
  if (leads)
    wake();
  else
    look_timer_->clear();  // what is in flight may end: its outcome counts, or another relay was faster
}

void WebhookDispatcher::wake() {
  woken_ = true;
  settled_ = false;
  if (leads_ && !page_reply_.waiting())
    look_timer_->set(0);
}

/// Reads deliveries that are due, of the hosts after the last ones.
void WebhookDispatcher::look() {
  if (!leads_ || page_reply_.waiting() || hosts_.room() <= 0 || attempts_.size() >= kMostUnstored)
    return;  // the end of an attempt wakes it
  stored_meanwhile_.clear();
  std::int64_t now = loop_.monotonic_ms();
  if (now - forgot_ms_ >= kForgetMs) {
    hosts_.forget(now);
    forgot_ms_ = now;
  }
  if (after_.empty()) {
    woken_ = false;
    found_ = false;
  }
  pg::ArrayWriter names(pg::kText), rooms(pg::kInt4), sinces(pg::kInt8), held(pg::kInt8);
  for (const WebhookHosts::Known &host : hosts_.known(now)) {
    names.bytes(host.host);
    rooms.int4(host.room);
    sinces.int8(host.since_us);
  }
  for (const auto &[id, attempt] : attempts_)
    held.int8(id);
  pg::Params params;
  params.text(after_)
      .array(pg::kTextArray, std::move(names))
      .array(pg::kInt4Array, std::move(rooms))
      .array(pg::kInt8Array, std::move(sinces))
      .array(pg::kInt8Array, std::move(held))
      .int4(WebhookHosts::kRoomOfUnknown)
      .int4(hosts_.room());
  reads_.send(std::make_unique<pg::Call<Page>>(pg::statements::kDueDeliveries, std::move(params), page_reply_,
                                               &WebhookDispatcher::decode));
}

Result<WebhookDispatcher::Page> WebhookDispatcher::decode(const pg::Rows &rows, std::size_t) {
  Page page;
  for (int row = 0; row < rows.count(); ++row) {
    page.upto = rows.null(row, 0) ? std::string() : rows.text(row, 0);
    if (rows.null(row, 1))
      continue;
    Due due;
    due.id = rows.number(row, 1);
    due.webhook = static_cast<int>(rows.number(row, 2));
    due.event = rows.text(row, 3);
    due.host = rows.text(row, 4);
    due.url = rows.text(row, 5);
    due.body = rows.text(row, 6);
    due.attempts = static_cast<int>(rows.number(row, 7));
    due.due_us = rows.number(row, 8);
    if (!rows.null(row, 9)) {
      due.keys.emplace();
      pg::ArrayReader keys(rows.bytes(row, 9));
      std::string_view key;
      while (keys.next(key))
        due.keys->emplace_back(key);
    }
    page.rows.push_back(std::move(due));
  }
  return page;
}

void WebhookDispatcher::on_page(Result<Page> page) {
  if (!leads_)
    return;
  if (!page) {  // the connection tells the log
    look_timer_->set(kPollMs);
    return;
  }
  std::string host;
  for (Due &due : page->rows) {
    if (due.host != host) {
      host = due.host;
      hosts_.saw(host, due.due_us);
    }
    take(std::move(due));
  }
  after_ = page->upto;
  bool more = !after_.empty() || woken_;
  bool soon = found_ || hosts_.throttled();
  settled_ = !more && !soon;
  look_timer_->set(more ? 0 : soon ? kSoonMs : kPollMs);
}

/// Sends a delivery, unless it is in flight or its host has no room.
void WebhookDispatcher::take(Due due) {
  std::int64_t now = loop_.monotonic_ms();
  if (attempts_.contains(due.id) || stored_meanwhile_.contains(due.id) || !hosts_.has_room(due.host, now))
    return;
  found_ = true;
  auto id = due.id;
  Attempt &attempt = *attempts_.emplace(id, std::make_unique<Attempt>(*this, std::move(due))).first->second;
  const Due &of = attempt.due();
  if (!of.keys) {
    settle(attempt, {of.id, of.attempts, "unsent", 0, 0, {}, 0});
    return;
  }
  std::string why;
  if (!options_.allow_http && lower(of.url.substr(0, 5)) == "http:")
    why = "http is not allowed: the option allow-http=on of the sink allows it";
  if (why.empty()) {
    if (auto started = attempt.start(); !started)
      why = text_of(started.error().detail);
  }
  if (why.empty()) {
    hosts_.started(of.host);
    return;
  }
  std::int64_t delay = wire::webhook_delay_ms(of.attempts + 1, options_.first_delay_ms, random_.unit());
  settle(attempt, {of.id, of.attempts, "retry", delay, 0, why, 0});
}

void WebhookDispatcher::settle(Attempt &attempt, Outcome outcome) {
  outcome.event = attempt.due().event;
  outcomes_.push_back(std::move(outcome));
  if (leads_)
    wake();  // its host has room, and there is no need to wait until this is stored
  if (!stored_reply_.waiting() && !store_timer_->pending())
    store_timer_->set(0);  // with those that end in this round
}

void WebhookDispatcher::store() {
  if (stored_reply_.waiting() || (outcomes_.empty() && storing_.empty()))
    return;
  storing_.insert(storing_.end(), std::make_move_iterator(outcomes_.begin()),
                  std::make_move_iterator(outcomes_.end()));
  outcomes_.clear();
  pg::ArrayWriter ids(pg::kInt8), attempts(pg::kInt4), words(pg::kText), delays(pg::kInt8),
      statuses(pg::kInt2), errors(pg::kText), spans(pg::kInt4), events(pg::kText);
  for (const Outcome &one : storing_) {
    ids.int8(one.id);
    attempts.int4(one.attempts);
    words.bytes(one.word);
    delays.int8(one.delay_ms);
    one.status > 0 ? statuses.int2(one.status) : statuses.null();
    one.error.empty() ? errors.null() : errors.bytes(one.error);
    spans.int4(one.ms);
    events.bytes(one.event);
  }
  pg::Params params;
  params.array(pg::kInt8Array, std::move(ids))
      .array(pg::kInt4Array, std::move(attempts))
      .array(pg::kTextArray, std::move(words))
      .array(pg::kInt8Array, std::move(delays))
      .array(pg::kInt2Array, std::move(statuses))
      .array(pg::kTextArray, std::move(errors))
      .array(pg::kInt4Array, std::move(spans))
      .array(pg::kTextArray, std::move(events));
  writes_.send(
      std::make_unique<pg::Call<int>>(pg::statements::kFinishDeliveries, std::move(params), stored_reply_,
                                      [](const pg::Rows &rows, std::size_t) -> Result<int> {
                                        return rows.count() == 1 ? static_cast<int>(rows.number(0, 0)) : 0;
                                      }));
}

void WebhookDispatcher::on_stored(const Result<int> &passed) {
  if (!passed) {  // once more: what was stored is not stored again
    store_timer_->set(kPollMs);
    return;
  }
  for (const Outcome &one : storing_) {
    attempts_.erase(one.id);
    if (page_reply_.waiting())
      stored_meanwhile_.insert(one.id);
  }
  storing_.clear();
  if (!outcomes_.empty())
    store_timer_->set(0);
  if (leads_)
    wake();
}

}  // namespace await::relay
