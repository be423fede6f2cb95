#include "sim/database.h"

#include <algorithm>

namespace await::sim {

std::uint64_t Database::begin() {
  running_.insert(next_xid_);
  return next_xid_++;
}

void Database::commit(std::uint64_t xid) {
  ++version_;
  if (running_.erase(xid) > 0)
    committed_.push_back(xid);
  unlock(xid);
}

void Database::erase(std::uint64_t xid) {
  ++version_;
  std::erase_if(revoked_, [xid](const auto &one) { return one.second.first == xid; });
  std::erase_if(staged_, [xid](const auto &one) { return one.second.xid == xid; });
  std::erase_if(keys_, [xid](const auto &one) { return one.second.xid == xid; });
  std::erase_if(chunks_, [xid](const auto &one) { return one.second == xid; });
  unlock(xid);
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    std::erase_if(job->second, [xid](const Entry &entry) { return entry.xid == xid; });
    job = job->second.empty() || job->second[0].seq != 1 ? jobs_.erase(job) : std::next(job);
  }
}

void Database::abort(std::uint64_t xid) {
  if (running_.erase(xid) > 0)
    erase(xid);
}

std::int64_t Database::insert(std::uint64_t xid, const Uuid &job, std::int64_t now,
                              const std::string &queue) {
  if (!jobs_.contains(job)) {
    jobs_[job].push_back({1, core::State::pending, xid, next_uid_++, now, ""});
    rows_[job] = {.queue = queue};
  }
  return jobs_[job].front().at;
}

bool Database::use(const core::TicketUse &ticket, std::int64_t now) {
  auto users = revoked();
  bool good = ticket.until_ms > now && std::none_of(users.begin(), users.end(), [&](const auto &one) {
                return one.owner == ticket.owner && one.at_ms >= ticket.issued_ms;
              });
  return good && used_.insert(ticket.id).second;
}

int Database::append(std::uint64_t xid, const Uuid &job, core::State state, std::string data) {
  auto &entries = jobs_.at(job);
  entries.push_back({entries.back().seq + 1, state, xid, next_uid_++, 0, std::move(data)});
  int seq = entries.back().seq;
  if (auto batch = core::is_ending(state) ? batch_of(job) : std::nullopt)
    job_ended(xid, job, *batch);
  return seq;
}

bool Database::locked(const Uuid &job) const {
  auto at = jobs_.find(job);
  auto by = locked_.find(job);
  return (at != jobs_.end() && running_.contains(at->second.back().xid)) ||
         (by != locked_.end() && running_.contains(by->second));
}

bool Database::has(const Uuid &job) const {
  auto at = jobs_.find(job);
  return at != jobs_.end() && visible(at->second[0].xid);
}

std::vector<Entry> Database::history(const Uuid &job) const {
  std::vector<Entry> out;
  if (auto at = jobs_.find(job); at != jobs_.end()) {
    for (const Entry &entry : at->second) {
      if (visible(entry.xid))
        out.push_back(entry);
    }
  }
  return out;
}

std::vector<Uuid> Database::all() const {
  std::vector<Uuid> out;
  for (const auto &[id, entries] : jobs_) {
    if (core::kind_of(id) == core::Kind::job)
      out.push_back(id);
  }
  return out;
}

std::vector<Uuid> Database::jobs_of(const Uuid &user) const {
  std::vector<Uuid> out;
  for (const auto &[id, entries] : jobs_) {
    if (core::ends(core::kind_of(id)) && user_of(id) == user)
      out.push_back(id);
  }
  return out;
}

std::vector<core::Revoked> Database::revoked() const {
  std::vector<core::Revoked> out;
  for (const auto &[user, by] : revoked_) {
    if (visible(by.first))
      out.push_back({user.text(), by.second});
  }
  return out;
}

std::vector<core::Job> Database::jobs(std::span<const core::JobQuery> queries) const {
  std::vector<core::Job> out;
  for (const core::JobQuery &query : queries) {
    if (has(query.id))
      out.push_back(document(query.id));
  }
  return out;
}

core::Job Database::document(const Uuid &id) const {
  Entry newest = history(id).back();
  const Row &row = rows_.at(id);
  core::Job job;
  job.id = id;
  job.queue = row.queue;
  job.owner = user_of(id).text();
  job.seq = newest.seq;
  job.state = newest.state;
  job.correlation_id = std::to_string(newest.uid);
  if (row.batch)
    job.batch = row.batch->text();
  if (row.phase >= 0)
    job.phase = batches_.at(*row.batch).phases[static_cast<std::size_t>(row.phase)];
  if (!row.params.empty())
    job.params = row.params;
  if (row.made_by)
    job.params = "{\"batch\": \"" + row.made_by->text() + "\"}";
  return job;
}

/// As await.edge_list(), without the filters that need what is not kept here.
std::vector<core::JobPage> Database::lists(std::span<const core::ListQuery> queries) const {
  std::vector<core::JobPage> out;
  for (const core::ListQuery &query : queries) {
    std::vector<core::ListPosition> all;  // newest first
    for (const Uuid &id : this->all()) {
      core::ListPosition position = position_of(id);
      if (!has(id))
        continue;
      bool is_theirs = (!query.owner || user_of(id).text() == *query.owner) &&
                       (!query.batch || batch_of(id) == query.batch) &&
                       (!query.queue || rows_.at(id).queue == *query.queue);
      bool is_after = !query.after || (query.batch ? id < query.after->id : position.eid < query.after->eid);
      if (is_theirs && is_after)
        all.push_back(position);
    }
    std::sort(all.begin(), all.end(),
              [&](auto &one, auto &other) { return query.batch ? one.id > other.id : one.eid > other.eid; });
    core::JobPage &page = out.emplace_back();
    std::optional<core::ListPosition> last;
    for (const core::ListPosition &position : all) {
      core::Job job = jobs(std::vector{core::JobQuery{position.id, core::ResultDetail::none}}).front();
      if (query.states &&
          ("," + *query.states + ",").find("," + std::string(core::state_name(job.state)) + ",") ==
              std::string::npos)
        continue;
      if (page.entries.size() == static_cast<std::size_t>(query.limit)) {
        page.next = last;
        break;
      }
      page.entries.push_back(job);
      last = position;
    }
  }
  return out;
}

/// As await.edge_user_events().
void Database::user_events(const core::EventQuery &query, core::EventPage &page) const {
  const core::SnapshotCursor &since = *query.since;
  std::string until = since.reading.text.empty() ? snapshot() : since.reading.text;
  page.state = core::State::processing;
  page.merged = {{until, 0}, true, false};
  if (since.seen.text.empty())
    return;
  Moment seen(since.seen.text), upto(until);
  for (const auto &[id, entries] : jobs_) {
    if (!core::ends(core::kind_of(id)) || user_of(id) != query.id)
      continue;
    for (const Entry &entry : entries) {
      bool due = visible(entry.xid) && !seen.sees(entry.xid) && upto.sees(entry.xid) &&
                 static_cast<std::int64_t>(entry.uid) > since.eid;
      if (!due)
        continue;
      core::Event &event = page.events.emplace_back();
      event.seq = entry.seq;
      event.type = event_type(id, entry.state);
      event.origin = {id, std::nullopt, static_cast<std::int64_t>(entry.uid)};
    }
  }
  std::sort(page.events.begin(), page.events.end(),
            [](const auto &a, const auto &b) { return a.origin->eid < b.origin->eid; });
  page.merged->complete = page.events.size() <= kUserPage;
  page.events.resize(std::min(page.events.size(), kUserPage));
}

std::vector<core::EventPage> Database::events(std::span<const core::EventQuery> queries) const {
  std::vector<core::EventPage> out;
  for (const core::EventQuery &query : queries) {
    core::EventPage &page = out.emplace_back();
    if (query.since) {
      user_events(query, page);
      continue;
    }
    auto entries = history(query.id);
    page.job = query.id;
    page.last_seq = entries.empty() ? 0 : entries.back().seq;
    if (entries.empty())
      continue;
    page.state = is_latest_only(query.id) ? core::State::pending : entries.back().state;
    page.correlation_id = std::to_string(entries[0].uid);
    for (const Entry &entry : entries) {
      bool kept = core::ends(core::kind_of(query.id)) || entry.seq > page.last_seq - kTopicKept;
      if (entry.seq == 1 || entry.seq <= query.after || !kept || page.events.size() == kPage)
        continue;
      core::Event &event = page.events.emplace_back();
      event.seq = entry.seq;
      event.type = event_type(query.id, entry.state);
      event.data = std::to_string(entry.uid) + entry.data;
    }
  }
  return out;
}

Moment::Moment(const std::string &text) {
  std::size_t at = text.find(':') + 1;
  snapshot.xmax = std::stoull(text.substr(at));
  for (at = text.find(':', at) + 1; at != 0 && at < text.size(); at = text.find(',', at) + 1) {
    snapshot.running.insert(std::stoull(text.substr(at)));
    if (text.find(',', at) == std::string::npos)
      break;
  }
}

namespace {

Uuid named(std::uint8_t mark, std::uint8_t n) {
  Uuid::Raw raw{};
  std::fill_n(raw.begin(), 6, std::uint8_t{0xff});
  raw[3] = mark;
  raw[6] = raw[8] = 0x80;
  raw[15] = n;
  return Uuid(raw);
}

}  // namespace

Uuid user_of(const Uuid &job) { return user_id(job.raw()[9] % Database::kUsers); }
Uuid user_id(std::uint8_t n) { return named(0xfe, n); }
Uuid topic_id(std::uint8_t n) { return named(0xff, n); }

std::string Database::snapshot() const {
  std::uint64_t xmin = running_.empty() ? next_xid_ : *running_.begin();
  std::string out = std::to_string(xmin) + ":" + std::to_string(next_xid_) + ":";
  for (std::uint64_t xid : running_)
    out += (out.back() == ':' ? "" : ",") + std::to_string(xid);
  return out;
}

core::Tail Database::tail(const std::string &since, std::size_t limit) const {
  Moment before(since);
  core::Tail out{snapshot(), true, {}};
  std::size_t rows = 0;
  for (const auto &[id, entries] : jobs_) {
    int newest = 0;
    bool changed = false;
    for (const Entry &entry : entries) {
      if (!visible(entry.xid) || before.sees(entry.xid))
        continue;
      changed = true;
      if (entry.seq == 1)
        continue;
      if (rows == limit)
        out.complete = false;
      else
        newest = entry.seq, ++rows;
    }
    if (newest > 0)
      out.changes.emplace_back(id, newest);
    if (changed && core::ends(core::kind_of(id)))
      out.changes.emplace_back(user_of(id), 0);
  }
  return out;
}

core::Tail Database::heads(std::span<const Uuid> ids) const {
  core::Tail out{snapshot(), true, {}};
  for (const Uuid &id : ids) {
    auto entries = history(id);
    if (entries.size() > 1)
      out.changes.emplace_back(id, entries.back().seq);
  }
  return out;
}

void Database::crash() {
  while (!running_.empty())
    abort(*running_.begin());
}

void Database::fail_over(std::size_t lost) {
  crash();
  for (; lost > 0 && !committed_.empty(); --lost) {
    erase(committed_.back());
    committed_.pop_back();
  }
  next_xid_ = kRestoredXid + 1;
  for (std::uint64_t xid : committed_)
    next_xid_ = std::max(next_xid_, xid + 1);
  ++timeline_;
  timeline_began_ = clock_();
}

void Database::restore(const Database &backup) {
  Database old = std::move(*this);
  *this = backup;
  crash();
  for (auto &[id, entries] : jobs_) {
    for (Entry &entry : entries)
      entry.xid = kRestoredXid;
  }
  for (auto &[user, by] : revoked_)
    by.first = kRestoredXid;
  for (auto &[at, job] : staged_)
    job.xid = kRestoredXid;
  for (auto &[name, key] : keys_)
    key.xid = kRestoredXid;
  for (auto &[job, by] : chunks_)
    by = kRestoredXid;
  committed_.clear();
  next_xid_ = kRestoredXid + 1;
  next_uid_ = old.next_uid_;  // only so that a client's event is known for one of before
  timeline_ = old.timeline_ + 1;
  timeline_began_ = clock_();
  version_ = old.version_ + 1;
}

void Database::purge(const Uuid &job) {
  ++version_;
  if (core::kind_of(job) == core::Kind::batch) {
    for (const Uuid &one : jobs_in(job))
      purge(one);
    for (const Uuid &one : ready_jobs_of(job))
      purge(one);
    std::erase_if(keys_, [&](const auto &one) { return one.second.first == job; });
  }
  chunks_.erase(job);
  jobs_.erase(job);
  purged_.insert(job);
}

}  // namespace await::sim
