#include "relay/wal_source.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace await::relay {
namespace {

constexpr std::string_view kPrefix = "wal:";

/// The snapshot of a cursor; empty if a part of a transaction behind it was read, too.
std::optional<core::SnapshotView> view_of(std::string_view cursor) {
  cut(cursor, '|');
  return core::SnapshotView::parse(cursor);
}

}  // namespace

WalSource::WalSource(io::Loop &loop, io::Log &log, io::Random &random, WalStream::Settings settings,
                     TableSource &tables)
    : loop_(loop), tables_(tables), stream_(loop, log, random, std::move(settings), *this) {}

WalSource::~WalSource() { tables_.forget(*this); }

std::string WalSource::Position::text() const {
  return std::string(kPrefix) + std::to_string(reader) + ":" + std::to_string(place) + ":" + cursor;
}

std::optional<WalSource::Position> WalSource::parse(std::string_view text) {
  if (!text.starts_with(kPrefix))
    return std::nullopt;
  text.remove_prefix(kPrefix.size());
  auto reader = parse_number(cut(text, ':'));
  auto place = parse_number(cut(text, ':'));
  if (!reader || !place)
    return std::nullopt;
  return Position{static_cast<std::uint64_t>(*reader), static_cast<RecentEvents::Place>(*place),
                  std::string(text)};
}

void WalSource::listen(Source::Listener &listener) {
  listeners_.push_back(&listener);
  if (listeners_.size() == 1)
    stream_.start();
  poll_tables();
}

void WalSource::forget(Source::Listener &listener) {
  if (std::erase(listeners_, &listener) > 0 && listeners_.empty()) {
    stream_.stop();
    leave_lost_places();
  }
  poll_tables();
}

/// Each event that is released is news for all, so the tables need not be looked at as well.
void WalSource::poll_tables() {
  bool wanted = !listeners_.empty() && readers_.empty();
  if (wanted && !polls_tables_)
    tables_.listen(*this);
  else if (!wanted && polls_tables_)
    tables_.forget(*this);
  polls_tables_ = wanted;
}

void WalSource::tell() {
  std::vector<Source::Listener *> listeners = listeners_;
  for (Source::Listener *listener : listeners) {
    if (std::find(listeners_.begin(), listeners_.end(), listener) != listeners_.end())
      listener->on_news();
  }
}

int WalSource::most_hints() const {
  int most = 0;
  for (const Source::Listener *listener : listeners_)
    most = std::max(most, listener->most_hints());
  return most;
}

void WalSource::on_recent_events() {
  leave_lost_places();
  poll_tables();
  tell();
}

void WalSource::leave_lost_places() {
  std::erase_if(readers_, [this](const auto &reader) {
    bool lost = !stream_.recent().holds(reader.second);
    if (lost)
      stream_.recent().detach();
    return lost;
  });
}

void WalSource::leave(std::uint64_t reader) {
  if (readers_.erase(reader) > 0)
    stream_.recent().detach();
}

std::optional<WalSource::Position> WalSource::attach(const std::string &cursor) {
  auto seen = view_of(cursor);
  auto place = seen && !listeners_.empty() ? stream_.recent().attach(*seen) : std::nullopt;
  if (!place)
    return std::nullopt;
  readers_[++last_reader_] = *place;
  poll_tables();
  stream_.on_attached();
  return Position{last_reader_, *place, cursor};
}

void WalSource::read(Source::Listener &listener, const std::string &position, int limit,
                     core::Reply<RelayPage> &reply) {
  auto attached = parse(position);
  if (!attached)
    attached = attach(position);
  if (!attached) {
    read_tables(listener, position, limit, reply);
    return;
  }
  reads_.emplace_back(listener, std::move(*attached), limit, reply);
  if (!answer_task_.linked())
    loop_.post(answer_task_);
}

void WalSource::answer() {
  auto reads = std::exchange(reads_, {});
  for (Read &read : reads) {
    core::Reply<RelayPage> *reply = read.reply.pop_front();
    if (reply == nullptr)
      continue;
    Position &position = read.position;
    if (readers_.contains(position.reader) && stream_.recent().holds(position.place)) {
      reply->deliver(page_at(std::move(position), read.limit));
      continue;
    }
    leave(position.reader);
    poll_tables();
    read_tables(read.listener, position.cursor, read.limit, *reply);
  }
}

/// The cursor moves with the marks, each of which has everything behind it that was read so far; but not back
/// to one that is older than what the tables have shown.
RelayPage WalSource::page_at(Position position, int limit) {
  auto seen = view_of(position.cursor).value_or(core::SnapshotView());
  auto recent = stream_.recent().read(position.place, static_cast<std::size_t>(std::max(limit, 1)), seen);
  RelayPage out;
  out.events = std::move(recent.events);
  out.complete = recent.complete;
  position.place = readers_[position.reader] = recent.next;
  const RecentEvents::Mark *mark = stream_.recent().mark(recent.next);
  if (mark != nullptr && mark->snapshot != position.cursor && mark->view.covers(seen))
    out.cursor = position.cursor = mark->snapshot;
  out.next = position.text();
  return out;
}

void WalSource::read_tables(Source::Listener &listener, const std::string &cursor, int limit,
                            core::Reply<RelayPage> &reply) {
  table_reads_.push_back(std::make_unique<TableRead>(*this, reply));
  tables_.read(listener, cursor, limit, table_reads_.back()->mine);
}

/// A sink that has everything up to this moment goes on with the log.
void WalSource::on_table_page(TableRead &read, Result<RelayPage> page) {
  auto at =
      std::find_if(table_reads_.begin(), table_reads_.end(), [&](auto &one) { return one.get() == &read; });
  std::unique_ptr<TableRead> owned = std::move(*at);
  table_reads_.erase(at);
  core::Reply<RelayPage> *reply = owned->theirs.pop_front();
  if (reply == nullptr)
    return;
  auto attached = page && page->complete ? attach(page->next) : std::nullopt;
  if (attached)
    page->next = attached->text();
  reply->deliver(std::move(page));
}

}  // namespace await::relay
