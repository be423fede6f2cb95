#include "core/replication_stream.h"

#include <cstdio>

#include "base/text.h"
#include "core/byte_reader.h"

namespace await::core {
namespace {

constexpr std::int64_t kPostgresEpochUs = INT64_C(946'684'800'000'000);  // 2000-01-01 in Unix time

std::optional<std::uint32_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 8)
    return std::nullopt;
  std::uint32_t out = 0;
  for (char c : lower(text)) {
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
      return std::nullopt;
    out = out << 4 | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return out;
}

void put(std::string &out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>(number >> shift & 0xff);
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
  std::string_view rest = text;
  auto high = parse_hex(cut(rest, '/'));
  auto low = parse_hex(rest);
  if (!high || !low)
    return std::nullopt;
  return static_cast<Lsn>(*high) << 32 | *low;
}

std::string format_lsn(Lsn lsn) {
  char out[20];
  std::snprintf(out, sizeof out, "%X/%X", static_cast<unsigned>(lsn >> 32), static_cast<unsigned>(lsn));
  return out;
}

std::optional<StreamMessage> decode_stream_message(std::string_view message) {
  StreamMessage out;
  ByteReader in(message);
  switch (in.letter()) {
    case 'w':
      in.bytes(24);  // where it begins, the end of the log, the time
      out.payload = in.rest();
      return in.good() ? std::optional(out) : std::nullopt;
    case 'k':
      out.position = in.number(8);
      in.bytes(8);  // the time
      out.wants_reply = in.number(1) != 0;
      return in.over() ? std::optional(out) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string encode_stream_status(Lsn position, std::int64_t unix_us, bool wants_reply) {
  std::string out = "r";
  for (int what = 0; what < 3; ++what)  // written, flushed, applied
    put(out, position);
  put(out, static_cast<std::uint64_t>(unix_us - kPostgresEpochUs));
  return out + (wants_reply ? '\1' : '\0');
}

}  // namespace await::core
