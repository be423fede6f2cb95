#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Takes a multipart/form-data body (RFC 7578) apart as it streams by. Holds at most one part's header
/// block (8 KB) and a delimiter's length of bytes, whatever the body's size.
class Multipart {
 public:
  static constexpr std::size_t kMaxHeaders = 8192;
  static constexpr std::size_t kMaxLine = 256;    ///< spaces behind a boundary
  static constexpr std::size_t kMaxParts = 1001;  ///< a thousand fields and a file, wanted or not

  /// What a part's headers say.
  struct Part {
    std::string name;
    std::optional<std::string> file_name;
    std::string type;      ///< Content-Type, empty if there is none
    bool encoded = false;  ///< has a Content-Transfer-Encoding other than 7bit, 8bit, binary
  };

  /// What happened. `part` and `data` are good until the next call.
  struct Event {
    enum class What { more, part, data, part_end, end, error } what;
    std::string_view data{};
    const Part *part = nullptr;
    const char *why = nullptr;
    bool too_much = false;  ///< an error, because there is more of it than is taken (413)
  };

  /// @param boundary  1 to 70 bytes, from the Content-Type
  explicit Multipart(std::string_view boundary);

  /// Gives the next piece of the body. Call next() until it says `more` before giving another.
  void feed(std::string_view bytes);
  /// Takes one step. `more`: everything fed is used up.
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
  std::string held_;          // what could not be decided yet
  std::size_t used_ = 0;      // of held_
  std::size_t searched_ = 0;  // of held_, for the end of the headers that stand at used_
  std::size_t parts_ = 0;
  At at_ = At::preamble;
  bool in_part_ = false;
  Part part_;
};

}  // namespace await::wire
