// What a Redis may send: cut anywhere, it is judged alike; whatever is let through hiredis understands, and
// is small; and what Redis does send is let through.

#include <hiredis/hiredis.h>

#include <memory>
#include <string>

#include "fuzz/input.h"
#include "redis/reply_guard.h"

namespace {

using await::fuzz::must;
using await::redis::ReplyGuard;

bool passes(std::string_view bytes, std::size_t step) {
  ReplyGuard guard;
  const char *error = nullptr;
  while (error == nullptr && !bytes.empty()) {
    error = guard.feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  return error == nullptr;
}

/// Elements of all replies in `bytes`.
std::size_t parse(std::string_view bytes) {
  std::unique_ptr<redisReader, void (*)(redisReader *)> reader(redisReaderCreate(), redisReaderFree);
  must(redisReaderFeed(reader.get(), bytes.data(), bytes.size()) == REDIS_OK, "hiredis does not take it");
  std::size_t elements = 0;
  while (true) {
    void *raw = nullptr;
    must(redisReaderGetReply(reader.get(), &raw) == REDIS_OK,
         "let through, and hiredis does not understand it");
    if (raw == nullptr)
      return elements;
    auto *reply = static_cast<redisReply *>(raw);
    must(reply->type != REDIS_REPLY_ARRAY || reply->elements <= ReplyGuard::kMaxElements, "a long array");
    elements += reply->type == REDIS_REPLY_ARRAY ? reply->elements : 1;
    freeReplyObject(reply);
  }
}

/// Replies as Redis writes them.
std::string replies(await::fuzz::Input &in) {
  std::string out;
  while (!in.empty()) {
    unsigned dice = in.byte();
    std::string_view text = in.text();
    if (dice % 4 == 0)
      out += "+" + std::string(text.substr(0, text.find_first_of("\r\n"))) + "\r\n";
    else if (dice % 4 == 1)
      out += ":" + std::to_string(static_cast<int>(dice) - 100) + "\r\n";
    else
      out += "*3\r\n$7\r\nmessage\r\n$-1\r\n$" + std::to_string(text.size()) + "\r\n" + std::string(text) +
             "\r\n";
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  std::size_t step = 1 + in.byte() % 19;
  std::string_view bytes = in.rest();
  bool good = passes(bytes, bytes.size() + 1);
  must(good == passes(bytes, step), "a verdict that depends on where the bytes are cut");
  if (good)
    must(parse(bytes) <= bytes.size(), "more came out than went in");
  std::string said = replies(in);
  must(passes(said, step), "what Redis says is refused");
  parse(said);
  return 0;
}
