#pragma once

#include <optional>
#include <string>

#include "core/ports.h"

namespace await::core {

/// A payload on its way into the store: kept in memory while it is small, else committed in pieces of
/// 256 KB as it comes, or smaller ones where memory is short, one of them unacknowledged at a time. The
/// pieces of one that is given up are removed again.
class Upload {
 public:
  static constexpr std::size_t kInline = 64 * 1024;
  static constexpr std::size_t kPiece = 256 * 1024;

  /// @param progressed  after each stored piece, and when finish() is done; with the error that ended it
  Upload(Payloads &payloads, const Uuid &id, Callback<Result<Done>> progressed)
      : payloads_(payloads), id_(id), progressed_(progressed) {}
  Upload(const Upload &) = delete;
  Upload &operator=(const Upload &) = delete;
  ~Upload();

  /// @param piece  how much may gather before it is stored
  void append(std::string_view bytes, std::size_t piece = kPiece);
  /// Whether the giver should wait for `progressed`.
  bool full() const { return buffer_.size() >= piece_; }
  /// Memory that it takes: what gathers, and the piece that is on its way.
  std::size_t held() const { return buffer_.capacity() + sending_; }
  /// No more comes. True: all is stored already; else `progressed` will tell.
  bool finish();
  bool finished() const { return finishing_ && !reply_.waiting() && (pieces_ == 0 || buffer_.empty()); }
  /// Calls back no more.
  void cancel() { reply_.unlink(); }
  /// Whether a job has it, or may have: nothing to remove.
  void keep(bool kept) { kept_ = kept; }

  std::int64_t size() const { return size_; }
  /// The payload, if it was small.
  std::optional<std::string> take_inline();

 private:
  void put();
  void stored(Result<Done> outcome);

  Payloads &payloads_;
  Uuid id_;
  Callback<Result<Done>> progressed_;
  Reply<Done> reply_ = Reply<Done>::to<&Upload::stored>(this);
  std::string buffer_;
  std::size_t piece_ = kPiece;
  std::size_t sending_ = 0;  // not acknowledged yet
  std::int64_t size_ = 0;
  std::int64_t stored_ = 0;
  int pieces_ = 0;
  bool finishing_ = false;
  bool kept_ = false;
};

}  // namespace await::core
