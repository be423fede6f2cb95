#include "core/upload.h"

namespace await::core {

Upload::~Upload() {
  if (pieces_ > 0 && !kept_)
    payloads_.drop(id_);
}

void Upload::append(std::string_view bytes, std::size_t piece) {
  piece_ = piece;
  buffer_ += bytes;
  size_ += static_cast<std::int64_t>(bytes.size());
  if (full() && !reply_.waiting())
    put();
}

bool Upload::finish() {
  finishing_ = true;
  if (pieces_ == 0 && buffer_.size() <= kInline)
    return true;
  if (!reply_.waiting() && !buffer_.empty())
    put();
  return finished();
}

std::optional<std::string> Upload::take_inline() {
  if (pieces_ > 0)
    return std::nullopt;
  return std::move(buffer_);
}

void Upload::put() {
  payloads_.put(id_, pieces_++, stored_, buffer_, reply_);
  stored_ += static_cast<std::int64_t>(buffer_.size());
  sending_ = buffer_.size();
  std::string().swap(buffer_);  // so that a client that stalls does not hold memory
}

void Upload::on_stored(Result<Done> outcome) {
  sending_ = 0;
  if (outcome && !buffer_.empty() && (full() || finishing_)) {
    put();
    if (!finishing_)
      on_progress_(outcome);  // there is room again; may destroy this
    return;
  }
  on_progress_(std::move(outcome));
}

}  // namespace await::core
