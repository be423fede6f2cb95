#include "worker/notes.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace await::worker {
namespace {

std::size_t size_of(const Note &note) {
  return sizeof note + note.data.value_or("").size() + note.type.value_or("").size() +
         note.id.value_or("").size();
}

}  // namespace

Notes::Notes(io::Loop &loop, io::Log &log, io::Random &random, Client &client, const ClaimedJob &job,
             std::string name, Observer &observer)
    : loop_(loop),
      log_(log),
      random_(random),
      client_(client),
      job_(job),
      name_(std::move(name)),
      observer_(observer),
      patience_(job.lease_ms),
      retry_timer_(loop.timer([this] { send(); }, io::Loop::Quit::may)),
      tell_timer_(loop.timer([this] { on_tell_timer(); }, io::Loop::Quit::may)) {
  auto bytes = random.ten();
  id_prefix_ =
      "await-worker " + base64url({reinterpret_cast<const char *>(bytes.data()), bytes.size()}) + " ";
}

Notes::~Notes() {
  tell(junk_);
  tell(refused_);
}

void Notes::add(std::string_view bytes) {
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    std::string_view part = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (!skipping_ && rest_.size() + part.size() > kMaxLine) {
      skipping_ = true;
      count(junk_, "a line of more than " + std::to_string(kMaxLine) + " bytes");
    }
    if (skipping_)
      rest_.clear();
    else
      rest_ += part;
    if (end == std::string_view::npos)
      break;
    if (!skipping_)
      line(rest_);
    rest_.clear();
    skipping_ = false;
  }
  send();
}

void Notes::close() {
  if (!rest_.empty())
    line(std::exchange(rest_, {}));
  send();
}

void Notes::stop() {
  alive_.reset();  // the answer to what is in flight is ignored
  retry_timer_->clear();
  waiting_.clear();
  rest_.clear();
  size_ = in_flight_ = 0;
}

void Notes::line(std::string_view line) {
  if (!alive_ || line.find_first_not_of(" \t\r") == std::string_view::npos)
    return;
  auto note = parse_note(line);
  if (!note) {
    count(junk_, printable(text_tail(repair_text(line.substr(0, 80)), 80)));
    return;
  }
  if (note->type && !note->id)
    note->id = id_prefix_ + std::to_string(next_id_++);
  bool replaces = !note->type && waiting_.size() > in_flight_ && !waiting_.back().type;
  if (replaces) {
    size_ -= size_of(waiting_.back());
    waiting_.pop_back();
  }
  size_ += size_of(*note);
  waiting_.push_back(std::move(*note));
}

void Notes::send() {
  if (!alive_ || in_flight_ > 0 || retry_timer_->pending() || waiting_.empty())
    return;
  if (!waiting_.front().type)
    send_progress();
  else
    send_events(batch_size());
}

/// The number of events at the front that are stored by one statement.
std::size_t Notes::batch_size() const {
  std::size_t n = 0;
  std::size_t size = 0;
  std::size_t most = alone_ > 0 ? 1 : kBatch;
  while (n < waiting_.size() && n < most && waiting_[n].type && (n == 0 || size < kBatchSize))
    size += waiting_[n++].data.value_or("").size();
  return n;
}

void Notes::send_progress() {
  in_flight_ = 1;
  client_.heartbeat(
      job_, waiting_.front().data, [this, alive = std::weak_ptr<bool>(alive_)](Result<Lease> lease) {
        if (alive.lock())
          answered(lease ? Result<bool>(*lease == Lease::held) : Result<bool>(lease.error()), 1);
      });
}

void Notes::send_events(std::size_t n) {
  in_flight_ = n;
  std::vector<const Note *> events;
  for (std::size_t i = 0; i < n; ++i)
    events.push_back(&waiting_[i]);
  client_.emit(job_, events, [this, n, alive = std::weak_ptr<bool>(alive_)](const Result<bool> &stored) {
    if (alive.lock())
      answered(stored, n);
  });
}

void Notes::answered(const Result<bool> &stored, std::size_t n) {
  in_flight_ = 0;
  if (!stored && Patience::is_passing(stored.error())) {
    retry(stored.error());
    return;
  }
  patience_.reset();
  if (stored && !*stored) {
    observer_.notes_lost();
    return;
  }
  if (!stored && n > 1) {
    alone_ = n;  // which one was refused?
    send();
    return;
  }
  if (!stored)
    count(refused_, stored.error().detail);
  drop_front(n);
  send();
  observer_.notes_moved();
}

void Notes::retry(const Error &error) {
  if (patience_.lasts(loop_.monotonic_ms()))
    retry_timer_->set(patience_.pause_ms(random_.unit()));
  else
    observer_.notes_undeliverable(error.detail);
}

void Notes::drop_front(std::size_t n) {
  alone_ -= std::min(alone_, n);
  for (; n > 0; --n) {
    size_ -= size_of(waiting_.front());
    waiting_.pop_front();
  }
}

void Notes::count(Tally &tally, const std::string &why) {
  ++tally.untold;
  tally.last = why;
  if (loop_.monotonic_ms() - tally.told_at >= kTellMs)
    tell(tally);
  else if (!tell_timer_->pending())
    tell_timer_->set(kTellMs);
}

void Notes::tell(Tally &tally) {
  if (tally.untold == 0)
    return;
  log_.error("job " + name_ + ": ignored " + std::to_string(std::exchange(tally.untold, 0)) + " " +
             tally.what + ", the last one: " + tally.last);
  tally.told_at = loop_.monotonic_ms();
}

void Notes::on_tell_timer() {
  tell(junk_);
  tell(refused_);
}

}  // namespace await::worker
