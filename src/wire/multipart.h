#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Parses a multipart/form-data body (RFC 7578) in a stream. Stores at most the headers of one part (8 KB)
/// and as many bytes as a delimiter has, regardless of the size of the body.
class Multipart {
 public:
  static constexpr std::size_t kMaxHeaders = 8192;
  static constexpr std::size_t kMaxLine = 256;    ///< spaces after a boundary
  static constexpr std::size_t kMaxParts = 1001;  ///< 1000 fields and a file, including ignored fields

  /// The headers of a part.
  struct Part {
    std::string name;
    std::optional<std::string> file_name;
    std::string type;      ///< the Content-Type; empty if there is none
    bool encoded = false;  ///< has a Content-Transfer-Encoding other than 7bit, 8bit, binary
  };

  /// A parser event. `part` and `data` are valid until the next call.
  struct Event {
    enum class What { more, part, data, part_end, end, error } what;
    std::string_view data;
    const Part *part = nullptr;
    const char *why = nullptr;
    bool too_much = false;  ///< the error is that a limit was exceeded (413)
  };

  /// @param boundary  1 to 70 bytes, from the Content-Type
  explicit Multipart(std::string_view boundary);

  /// Passes the next piece of the body. Call next() until it returns `more` before passing another.
  void feed(std::string_view bytes);
  /// Returns the next event; `more` if all input has been processed.
  Event next();
  bool ended() const { return at_ == At::epilogue; }

 private:
  enum class At { preamble, headers, body, delimiter_tail, epilogue, broken };
  Event preamble();
  Event delimiter_tail();
  Event headers();
  Event body();
  Event fail(const char *why, bool too_much = false);
  bool parse_headers(std::string_view block);

  std::string delimiter_;     // CRLF "--" boundary
  std::string held_;          // bytes that cannot be classified yet
  std::size_t used_ = 0;      // of held_
  std::size_t searched_ = 0;  // of held_, when looking for the end of the headers at used_
  std::size_t parts_ = 0;
  At at_ = At::preamble;
  bool in_part_ = false;
  Part part_;
};

}  // namespace await::wire
