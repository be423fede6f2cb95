// Batches in the simulated PostgreSQL: what sql/functions/batch does, with its locks. The counts are those of
// the jobs' histories, as a statement sees them.

#include <algorithm>
#include <tuple>

#include "sim/database.h"

namespace await::sim {
namespace {

constexpr std::int64_t kPauseMs = 250;  // from one event "progress" to the next
constexpr int kCancelledAtOnce = 4;     // jobs of a batch

std::string key_name(const std::string &scope, const std::optional<std::string> &owner,
                     const std::string &key) {
  return scope + "\n" + owner.value_or("") + "\n" + key;
}

int number_after(const std::string &text, const std::string &name) {
  std::size_t at = text.find('"' + name + "\": ");
  return at == std::string::npos ? 0 : std::stoi(text.substr(at + name.size() + 4));
}

int phase_number(const std::vector<std::string> &phases, const std::optional<std::string> &phase) {
  if (!phase)
    return -1;
  return static_cast<int>(std::find(phases.begin(), phases.end(), *phase) - phases.begin());
}

/// Whether a job may be in this phase: one of the batch's, or none where it has none.
bool fits(const std::vector<std::string> &phases, const std::optional<std::string> &phase) {
  return phase ? std::find(phases.begin(), phases.end(), *phase) != phases.end() : phases.empty();
}

}  // namespace

void Count::add(core::State state) {
  ++total;
  switch (state) {
    case core::State::pending:
    case core::State::processing:
      ++open;
      processing += state == core::State::processing ? 1 : 0;
      break;
    case core::State::completed:
      ++completed;
      break;
    case core::State::failed:
      ++failed;
      break;
    case core::State::cancelled:
      ++cancelled;
      break;
    case core::State::expired:
      ++expired;
      break;
  }
}

std::string Count::json() const {
  std::string out;
  for (auto [name, n] : {std::pair("total", total),
                         {"done", done()},
                         {"open", open},
                         {"completed", completed},
                         {"failed", failed},
                         {"cancelled", cancelled},
                         {"expired", expired}})
    out += (out.empty() ? "\"" : ", \"") + std::string(name) + "\": " + std::to_string(n);
  return out;
}

Told Told::in(const std::string &data) { return {number_after(data, "total"), number_after(data, "done")}; }

std::string Database::event_type(const Uuid &id, core::State state) {
  if (core::kind_of(id) == core::Kind::batch && state == core::State::processing)
    return "progress";
  if (core::kind_of(id) == core::Kind::batch && state == core::State::completed)
    return "batch.ready";
  return std::string(core::state_name(state));
}

// --- what is there ----------------------------------------------------------------------------------------

const Entry *Database::newest(const Uuid &id, std::uint64_t own) const {
  auto at = jobs_.find(id);
  if (at == jobs_.end() || !sees(at->second[0].xid, own))
    return nullptr;
  auto seen = std::find_if(at->second.rbegin(), at->second.rend(),
                           [&](const Entry &entry) { return sees(entry.xid, own); });
  return &*seen;
}

bool Database::has_ended(const Uuid &id, std::uint64_t own) const {
  const Entry *entry = newest(id, own);
  return entry != nullptr && core::is_ending(entry->state);
}

BatchCount Database::count(const Uuid &batch, std::uint64_t own) const {
  BatchCount out;
  const BatchRow &row = batches_.at(batch);
  out.phases.resize(row.phases.size());
  for (const Uuid &job : row.jobs) {
    const Entry *entry = newest(job, own);
    if (entry == nullptr)
      continue;
    out.add(entry->state);
    if (int phase = rows_.at(job).phase; phase >= 0)
      out.phases[static_cast<std::size_t>(phase)].add(entry->state);
  }
  return out;
}

std::string Database::totals(const Uuid &batch, std::uint64_t own) const {
  return " {" + count(batch, own).json() + "}";
}

bool Database::phases_had_jobs(const BatchCount &count) const {
  int completed = 1;
  for (const Count &phase : count.phases) {
    if (phase.total == 0)
      return completed == 0;
    completed = phase.completed;
  }
  return count.total > 0;
}

std::optional<core::Batch> Database::batch(const Uuid &id) const {
  const Entry *entry = newest(id, 0);
  if (entry == nullptr || core::kind_of(id) != core::Kind::batch)
    return std::nullopt;
  core::Batch out;
  out.id = id;
  out.owner = user_of(id).text();
  out.state = entry->state;
  out.seq = entry->seq;
  out.correlation_id = std::to_string(entry->uid);
  out.created_at = out.updated_at = jobs_.at(id).front().at;
  BatchCount now = count(id, 0);
  const auto &names = batches_.at(id).phases;
  std::string list, phases;
  for (std::size_t i = 0; i < names.size(); ++i) {
    list += (i == 0 ? "[\"" : ", \"") + names[i] + "\"";
    phases += (i == 0 ? ", \"phases\": {\"" : ", \"") + names[i] + "\": {" + now.phases[i].json() + "}";
  }
  if (!names.empty())
    out.phases = list + "]", phases += "}";
  std::string busy =
      entry->state == core::State::completed ? "" : ", \"processing\": " + std::to_string(now.processing);
  out.totals = "{" + now.json() + phases + busy + ", \"failures\": []}";
  return out;
}

std::vector<core::Job> Database::jobs_of(const Uuid &batch, const Uuid &after, int limit) const {
  std::vector<core::Job> out;
  for (const Uuid &job : jobs_in(batch)) {
    if (job > after && out.size() < static_cast<std::size_t>(limit))
      out.push_back(document(job));
  }
  return out;
}

std::vector<core::BatchPage> Database::batch_lists(std::span<const core::ListQuery> queries) const {
  std::vector<core::BatchPage> out;
  for (const core::ListQuery &query : queries) {
    core::BatchPage &page = out.emplace_back();
    std::vector<Uuid> all = batches();
    for (auto id = all.rbegin(); id != all.rend(); ++id) {
      core::Batch one = *batch(*id);
      bool fits = (!query.owner || one.owner == query.owner) && (!query.after || *id < query.after->id) &&
                  (!query.states ||
                   ("," + *query.states + ",").find("," + std::string(core::state_name(one.state)) + ",") !=
                       std::string::npos);
      if (!fits)
        continue;
      if (page.entries.size() == static_cast<std::size_t>(query.limit)) {
        const Uuid &last = page.entries.back().id;
        page.next = {last, static_cast<std::int64_t>(jobs_.at(last).front().uid)};
        break;
      }
      page.entries.push_back(std::move(one));
    }
  }
  return out;
}

std::vector<Uuid> Database::batches() const {
  std::vector<Uuid> out;
  for (const auto &[id, row] : batches_) {
    if (has(id))
      out.push_back(id);
  }
  return out;
}

std::vector<Uuid> Database::jobs_in(const Uuid &batch) const {
  auto at = batches_.find(batch);
  std::vector<Uuid> out = at == batches_.end() ? std::vector<Uuid>() : at->second.jobs;
  std::erase_if(out, [this](const Uuid &job) { return !has(job); });
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<Uuid> Database::batch_of(const Uuid &job) const {
  auto at = rows_.find(job);
  return at == rows_.end() ? std::nullopt : at->second.batch;
}

int Database::phase_of(const Uuid &job) const { return rows_.at(job).phase; }
int Database::phases_of(const Uuid &batch) const {
  return static_cast<int>(batches_.at(batch).phases.size());
}

std::vector<Uuid> Database::ready_jobs_of(const Uuid &batch) const {
  std::vector<Uuid> out;
  for (const auto &[job, row] : rows_) {
    if (row.made_by == batch && has(job))
      out.push_back(job);
  }
  return out;
}

std::vector<Uuid> Database::orphans() const {
  std::vector<Uuid> out;
  for (const auto &[job, by] : chunks_) {
    if (!jobs_.contains(job))
      out.push_back(job);
  }
  return out;
}

std::vector<std::pair<Uuid, int>> Database::written_by(std::uint64_t xid) const {
  std::vector<std::pair<Uuid, int>> out;
  for (const auto &[id, entries] : jobs_) {
    auto last = std::find_if(entries.rbegin(), entries.rend(),
                             [xid](const Entry &entry) { return entry.xid == xid; });
    if (last != entries.rend())
      out.emplace_back(id, last->seq);
  }
  return out;
}

// --- submitting -------------------------------------------------------------------------------------------

void Database::stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs) {
  auto xid = begin();
  for (const core::NewJob &job : jobs)
    staged_.try_emplace({batch, first++}, Staged{xid, job.id, job.queue, job.phase, job.params.value_or("")});
  commit(xid);
}

void Database::unstage(const Uuid &batch) {
  std::erase_if(staged_, [&](const auto &one) { return one.first.first == batch; });
}

void Database::purge_uploads() {
  for (const Uuid &job : left_uploads_)
    drop_chunks(job);
  for (const Uuid &batch : left_to_purge_)
    unstage(batch);
}

Result<core::Submitted> Database::submit(std::uint64_t xid, const core::NewBatch &batch, std::int64_t now) {
  if (batch.idempotency) {
    const auto &given = *batch.idempotency;
    Key &key =
        keys_
            .try_emplace(key_name(batch.scope, batch.owner, given.key), Key{xid, batch.id, given.fingerprint})
            .first->second;
    if (key.first != batch.id) {
      unstage(batch.id);
      return core::Submitted{key.first, has(key.first) ? jobs_.at(key.first).front().at : now,
                             key.fingerprint != given.fingerprint};
    }
  }
  if (has(batch.id))
    return core::Submitted{batch.id, jobs_.at(batch.id).front().at};
  std::vector<Staged> all;
  for (auto at = staged_.lower_bound({batch.id, 0}); at != staged_.end() && at->first.first == batch.id; ++at)
    all.push_back(at->second);
  if (static_cast<int>(all.size()) != batch.jobs)
    return Error{Code::internal, "the jobs are not all there"};
  for (const Staged &job : all) {
    if (job.params == "poison" || !fits(batch.phases, job.phase))
      return Error{Code::invalid, "a job is bad"};
  }
  insert(xid, batch.id, now, ".batch");
  batches_[batch.id] = {batch.phases, batch.on_ready, {}};
  told_[batch.id] = clock_();
  for (const Staged &job : all) {
    insert(xid, job.id, now, job.queue);
    add_to_batch(xid, batch.id, job.id, phase_number(batch.phases, job.phase), now);
    rows_[job.id].params = job.params;
  }
  unstage(batch.id);
  return core::Submitted{batch.id, now};
}

core::Added Database::add(std::uint64_t xid, const Uuid &batch, const core::NewJob &job, std::int64_t now) {
  using Outcome = core::Added::Outcome;
  if (!batches_.contains(batch) || !has(batch) || (job.owner && user_of(batch).text() != *job.owner))
    return {Outcome::no_batch, {job.id, now}};
  std::string name = job.idempotency ? key_name(job.queue, job.owner, job.idempotency->key) : std::string();
  if (auto key = keys_.find(name); job.idempotency && key != keys_.end() && key->second.first != job.id)
    return {Outcome::added,
            {key->second.first, now, key->second.fingerprint != job.idempotency->fingerprint}};
  const auto &phases = batches_.at(batch).phases;
  if (has_ended(batch, xid))
    return {Outcome::ended, {job.id, now}};
  if (!fits(phases, job.phase))
    return {Outcome::no_phase, {job.id, now}};
  if (job.idempotency)
    keys_[name] = {xid, job.id, job.idempotency->fingerprint};
  insert(xid, job.id, now, job.queue);
  add_to_batch(xid, batch, job.id, phase_number(phases, job.phase), now);
  return {Outcome::added, {job.id, now}};
}

void Database::add_to_batch(std::uint64_t xid, const Uuid &batch, const Uuid &job, int phase,
                            std::int64_t now) {
  insert(xid, job, now);
  BatchRow &row = batches_.at(batch);
  if (std::find(row.jobs.begin(), row.jobs.end(), job) == row.jobs.end())
    row.jobs.push_back(job);
  rows_[job].batch = batch;
  rows_[job].phase = phase;
  shared_[batch].insert(xid);
}

void Database::put_chunk(const Uuid &job) {
  auto xid = begin();
  chunks_.try_emplace(job, xid);
  commit(xid);
}

void Database::drop_chunks(const Uuid &job) {
  if (!has(job))
    chunks_.erase(job);
}

// --- endings ----------------------------------------------------------------------------------------------

void Database::unlock(std::uint64_t xid) {
  std::erase_if(locked_, [xid](const auto &one) { return one.second == xid; });
  for (auto *locks : {&shared_, &held_}) {
    for (auto at = locks->begin(); at != locks->end();) {
      at->second.erase(xid);
      at = at->second.empty() ? locks->erase(at) : std::next(at);
    }
  }
}

bool Database::is_busy(const Uuid &batch) const {
  const auto &jobs = batches_.at(batch).jobs;
  return locked(batch) || shared_.contains(batch) ||
         std::any_of(jobs.begin(), jobs.end(), [this](const Uuid &job) { return locked(job); });
}

/// One that nobody else is just ending, from the one behind `than` on.
std::optional<Uuid> Database::other_open_job(const Uuid &batch, const Uuid &than, std::uint64_t own) const {
  std::optional<Uuid> before;
  for (const Uuid &job : jobs_in(batch)) {
    const Entry &last = jobs_.at(job).back();
    bool is_ending = core::is_ending(last.state) && last.xid != own && running(last.xid);
    if (job == than || is_ending || has_ended(job, own))
      continue;
    if (job > than)
      return job;
    before = before ? before : job;
  }
  return before;
}

bool Database::may_end(const Uuid &job) const {
  if (locked(job) || held_.contains(job))
    return false;
  auto batch = batch_of(job);
  return !batch || other_open_job(*batch, job, 0) || (!locked(*batch) && !shared_.contains(*batch));
}

/// As await.batch_jobs_ended().
void Database::job_ended(std::uint64_t xid, const Uuid &job, const Uuid &batch) {
  if (auto other = other_open_job(batch, job, xid)) {
    held_[*other].insert(xid);
    tell_batch(xid, batch);
  } else {
    finish_batch(xid, batch);
  }
}

void Database::tell_batch(std::uint64_t xid, const Uuid &batch, bool at_once) {
  const Entry &last = jobs_.at(batch).back();
  auto by = locked_.find(batch);
  auto adding = shared_.find(batch);
  bool by_others = (last.xid != xid && running(last.xid)) || (by != locked_.end() && by->second != xid) ||
                   (adding != shared_.end() && adding->second != std::set{xid});
  bool too_soon = !at_once && clock_() < told_[batch] + kPauseMs;
  if (by_others || too_soon || has_ended(batch, xid))
    return;
  told_[batch] = clock_();
  append(xid, batch, core::State::processing, totals(batch, xid));
}

/// Once, because the batch is locked first.
void Database::finish_batch(std::uint64_t xid, const Uuid &batch) {
  locked_[batch] = xid;
  BatchCount now = count(batch, xid);
  if (has_ended(batch, xid) || now.open > 0)
    return;
  if (!phases_had_jobs(now)) {
    tell_batch(xid, batch);
    return;
  }
  append(xid, batch, core::State::completed, totals(batch, xid));
  if (batches_.at(batch).on_ready)
    create_ready_job(xid, batch);
}

/// Its id is one of the same user, and in the same shard.
void Database::create_ready_job(std::uint64_t xid, const Uuid &batch) {
  Uuid::Raw raw = batch.raw();
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x70);
  for (std::size_t i = 10; i < 14; ++i)
    raw[i] = static_cast<std::uint8_t>(next_uid_ >> (i - 10) * 8);
  insert(xid, Uuid(raw), clock_(), *batches_.at(batch).on_ready);
  rows_[Uuid(raw)].made_by = batch;
}

core::Cancelled Database::cancel(std::uint64_t xid, const Uuid &id, std::optional<int> seq) {
  const Entry *entry = newest(id, 0);
  if (entry == nullptr)
    return core::Cancelled::unknown;
  if (seq && *seq != entry->seq)
    return core::Cancelled::changed;
  if (core::is_ending(entry->state))
    return entry->state == core::State::cancelled ? core::Cancelled::already : core::Cancelled::ended;
  bool is_batch = core::kind_of(id) == core::Kind::batch;
  append(xid, id, core::State::cancelled, is_batch ? totals(id, xid) : "");
  if (is_batch)
    cancel_jobs(xid, id, kCancelledAtOnce);
  return core::Cancelled::now;
}

/// Without waiting: what somebody has locked is left for the next time.
void Database::cancel_jobs(std::uint64_t xid, const Uuid &batch, int most) {
  for (const Uuid &job : jobs_in(batch)) {
    auto held = held_.find(job);
    bool is_free = !locked(job) && (held == held_.end() || held->second == std::set{xid});
    if (!is_free || has_ended(job, xid))
      continue;
    append(xid, job, core::State::cancelled);
    if (--most == 0)
      return;
  }
}

void Database::visit(std::uint64_t xid, const Uuid &batch) {
  if (locked(batch) || shared_.contains(batch))
    return;
  const Entry *last = newest(batch, xid);
  if (last->state != core::State::completed && core::is_ending(last->state))
    cancel_jobs(xid, batch, kCancelledAtOnce);
  else if (!core::is_ending(last->state) && last->data != totals(batch, xid))
    tell_batch(xid, batch, true);
}

}  // namespace await::sim
