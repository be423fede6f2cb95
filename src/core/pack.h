#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/batch.h"
#include "core/job.h"

namespace await::core {

// Values as bytes in memory that the processes of one machine share: not for disks and networks.

class Packer {
 public:
  void number(std::int64_t value) { raw(&value, sizeof value); }
  void text(std::string_view value);
  void maybe(const std::optional<std::string> &value);
  void uuid(const Uuid &id) { raw(id.raw().data(), id.raw().size()); }
  void job(const Job &job);
  void batch(const Batch &batch);
  std::string take() { return std::move(out_); }

 private:
  void raw(const void *bytes, std::size_t size) { out_.append(static_cast<const char *>(bytes), size); }
  std::string out_;
};

/// What a Packer has written, in the same order. The bytes may be anything: see good().
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  std::int64_t number();
  std::string text() { return maybe().value_or(""); }
  std::optional<std::string> maybe();
  Uuid uuid();
  Job job();
  Batch batch();
  /// Whether there was enough for all that was asked for.
  bool good() const { return good_; }
  bool empty() const { return rest_.empty(); }

 private:
  void raw(void *to, std::size_t size);
  State state();
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace await::core
