#include "sim/database.h"

#include <algorithm>

namespace await::sim {

std::uint64_t Database::begin() {
  running_.insert(next_xid_);
  return next_xid_++;
}

void Database::commit(std::uint64_t xid) {
  if (running_.erase(xid) > 0)
    committed_.push_back(xid);
}

void Database::erase(std::uint64_t xid) {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    std::erase_if(job->second, [xid](const Entry &entry) { return entry.xid == xid; });
    job = job->second.empty() || job->second[0].seq != 1 ? jobs_.erase(job) : std::next(job);
  }
}

void Database::abort(std::uint64_t xid) {
  if (running_.erase(xid) > 0)
    erase(xid);
}

void Database::insert(std::uint64_t xid, const Uuid &job) {
  if (!jobs_.contains(job))
    jobs_[job].push_back({1, core::State::pending, xid, next_uid_++});
}

int Database::append(std::uint64_t xid, const Uuid &job, core::State state) {
  auto &entries = jobs_.at(job);
  entries.push_back({entries.back().seq + 1, state, xid, next_uid_++});
  return entries.back().seq;
}

bool Database::locked(const Uuid &job) const {
  auto at = jobs_.find(job);
  return at != jobs_.end() && running_.contains(at->second.back().xid);
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
  for (const auto &[id, entries] : jobs_)
    out.push_back(id);
  return out;
}

std::vector<core::Job> Database::jobs(std::span<const core::JobQuery> queries) const {
  std::vector<core::Job> out;
  for (const core::JobQuery &query : queries) {
    auto entries = history(query.id);
    if (entries.empty())
      continue;
    core::Job job;
    job.id = query.id;
    job.seq = entries.back().seq;
    job.state = entries.back().state;
    job.correlation_id = std::to_string(entries.back().uid);
    out.push_back(job);
  }
  return out;
}

std::vector<core::EventPage> Database::events(std::span<const core::EventQuery> queries) const {
  std::vector<core::EventPage> out;
  for (const core::EventQuery &query : queries) {
    core::EventPage &page = out.emplace_back();
    auto entries = history(query.id);
    page.job = query.id;
    page.last_seq = entries.empty() ? 0 : entries.back().seq;
    if (entries.empty())
      continue;
    page.state = entries.back().state;
    page.correlation_id = std::to_string(entries[0].uid);
    for (const Entry &entry : entries) {
      if (entry.seq == 1 || entry.seq <= query.after || page.events.size() == kPage)
        continue;
      core::Event &event = page.events.emplace_back();
      event.seq = entry.seq;
      event.type = core::state_name(entry.state);
      event.data = std::to_string(entry.uid);
    }
  }
  return out;
}

std::string Database::snapshot() const {
  std::string out = std::to_string(next_xid_);
  for (std::uint64_t xid : running_)
    out += " " + std::to_string(xid);
  return out;
}

core::Tail Database::tail(const std::string &since, std::size_t limit) const {
  std::uint64_t xmax = 0;
  std::set<std::uint64_t> open;
  std::size_t at = 0;
  while (at < since.size()) {
    std::size_t end = std::min(since.find(' ', at), since.size());
    std::uint64_t xid = std::stoull(since.substr(at, end - at));
    at == 0 ? void(xmax = xid) : void(open.insert(xid));
    at = end + 1;
  }
  core::Tail out{snapshot(), true, {}};
  std::size_t rows = 0;
  for (const auto &[id, entries] : jobs_) {
    int newest = 0;
    for (const Entry &entry : entries) {
      bool is_new = entry.xid >= xmax || open.contains(entry.xid);
      if (entry.seq == 1 || !visible(entry.xid) || !is_new)
        continue;
      if (rows == limit)
        out.complete = false;
      else
        newest = entry.seq, ++rows;
    }
    if (newest > 0)
      out.changes.emplace_back(id, newest);
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
  next_xid_ = 100;
  for (std::uint64_t xid : committed_)
    next_xid_ = std::max(next_xid_, xid + 1);
  ++timeline_;
}

}  // namespace await::sim
