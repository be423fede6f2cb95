#include "core/pack.h"

#include <cstring>
#include <utility>

namespace await::core {
namespace {

constexpr std::uint32_t kNull = UINT32_MAX;

}  // namespace

void Packer::text(std::string_view value) {
  auto size = static_cast<std::uint32_t>(value.size());
  raw(&size, sizeof size);
  out_.append(value);
}

void Packer::maybe(const std::optional<std::string> &value) {
  if (value)
    text(*value);
  else
    raw(&kNull, sizeof kNull);
}

void Packer::job(const Job &job) {
  uuid(job.id);
  text(job.queue);
  number(static_cast<std::int64_t>(job.state));
  number(job.seq);
  number(job.attempt);
  number(job.created_at);
  number(job.updated_at);
  for (const auto *one : {&job.owner, &job.correlation_id, &job.batch, &job.phase, &job.retry_of, &job.params,
                          &job.progress, &job.error, &job.waiting})
    maybe(*one);
  number(job.result ? 1 : 0);
  if (!job.result)
    return;
  number(job.result->status);
  number(job.result->attempt);
  text(job.result->type);
  maybe(job.result->name);
  number(job.result->size);
  number(job.result->inlined ? 1 : 0);
  maybe(job.result->body ? std::optional<std::string>(job.result->body->view()) : std::nullopt);
}

void Packer::batch(const Batch &batch) {
  uuid(batch.id);
  number(static_cast<std::int64_t>(batch.state));
  number(batch.seq);
  number(batch.created_at);
  number(batch.updated_at);
  for (const auto *one : {&batch.owner, &batch.correlation_id, &batch.phases})
    maybe(*one);
  text(batch.totals);
}

void Unpacker::raw(void *to, std::size_t size) {
  if (size > rest_.size()) {
    good_ = false;
    return;
  }
  std::memcpy(to, rest_.data(), size);
  rest_.remove_prefix(size);
}

std::int64_t Unpacker::number() {
  std::int64_t value = 0;
  raw(&value, sizeof value);
  return value;
}

std::optional<std::string> Unpacker::maybe() {
  std::uint32_t size = 0;
  raw(&size, sizeof size);
  if (size == kNull)
    return std::nullopt;
  if (size > rest_.size()) {
    good_ = false;
    return std::nullopt;
  }
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

Uuid Unpacker::uuid() {
  Uuid::Raw id{};
  raw(id.data(), id.size());
  return Uuid(id);
}

State Unpacker::state() {
  std::int64_t value = number();
  good_ = good_ && value >= 0 && value <= static_cast<std::int64_t>(State::expired);
  return good_ ? static_cast<State>(value) : State::pending;
}

Job Unpacker::job() {
  Job job;
  job.id = uuid();
  job.queue = text();
  job.state = state();
  job.seq = static_cast<int>(number());
  job.attempt = static_cast<int>(number());
  job.created_at = number();
  job.updated_at = number();
  for (auto *one : {&job.owner, &job.correlation_id, &job.batch, &job.phase, &job.retry_of, &job.params,
                    &job.progress, &job.error, &job.waiting})
    *one = maybe();
  if (number() != 1)
    return job;
  JobResult result;
  result.status = static_cast<int>(number());
  result.attempt = static_cast<int>(number());
  result.type = text();
  result.name = maybe();
  result.size = number();
  result.inlined = number() == 1;
  if (auto body = maybe())
    result.body = Bytes(*body);
  job.result = std::move(result);
  return job;
}

Batch Unpacker::batch() {
  Batch batch;
  batch.id = uuid();
  batch.state = state();
  batch.seq = static_cast<int>(number());
  batch.created_at = number();
  batch.updated_at = number();
  for (auto *one : {&batch.owner, &batch.correlation_id, &batch.phases})
    *one = maybe();
  batch.totals = text();
  return batch;
}

}  // namespace await::core
