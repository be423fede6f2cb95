#pragma once

#include <optional>
#include <string>

#include "core/ports.h"

namespace await::core {

/// Stores a payload. Up to kInline bytes stay in memory; more is stored in chunks of 256 KB, or smaller ones
/// if memory is short, with one chunk in flight. The chunks of an upload that is destroyed without keep() are
/// removed.
class Upload {
 public:
  static constexpr std::size_t kInline = 64 * 1024;
  static constexpr std::size_t kPiece = 256 * 1024;

  /// @param on_progress  called when there is room again, when finish() is complete, and after an error; may
  ///                     destroy this. Do not use the upload after an error.
  Upload(Payloads &payloads, const Uuid &id, Callback<Result<Done>> on_progress)
      : payloads_(payloads), id_(id), on_progress_(on_progress) {}
  Upload(const Upload &) = delete;
  Upload &operator=(const Upload &) = delete;
  ~Upload();

  /// @param piece  the size of a chunk in bytes
  void append(std::string_view bytes, std::size_t piece = kPiece);
  /// Whether the caller should wait for `on_progress` before the next append().
  bool full() const { return buffer_.size() >= piece_; }
  /// The memory in use in bytes: the buffer, and the chunk in flight.
  std::size_t held() const { return buffer_.capacity() + sending_; }
  /// The payload is complete. True: it is stored; otherwise `on_progress` will be called.
  bool finish();
  bool finished() const { return finishing_ && !reply_.waiting() && (pieces_ == 0 || buffer_.empty()); }
  /// Cancels the callback.
  void cancel() { reply_.unlink(); }
  /// @param kept  whether a job has the chunks, or may have them, so that they must not be removed
  void keep(bool kept) { kept_ = kept; }

  std::int64_t size() const { return size_; }
  /// The payload, if it is in memory.
  std::optional<std::string> take_inline();

 private:
  void put();
  void on_stored(Result<Done> outcome);

  Payloads &payloads_;
  Uuid id_;
  Callback<Result<Done>> on_progress_;
  Reply<Done> reply_ = Reply<Done>::to<&Upload::on_stored>(this);
  std::string buffer_;
  std::size_t piece_ = kPiece;
  std::size_t sending_ = 0;  // bytes of the chunk in flight
  std::int64_t size_ = 0;
  std::int64_t stored_ = 0;
  int pieces_ = 0;
  bool finishing_ = false;
  bool kept_ = false;
};

}  // namespace await::core
