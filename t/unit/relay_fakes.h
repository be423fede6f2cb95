#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "relay/cursors.h"
#include "relay/leases.h"
#include "relay/sink.h"
#include "relay/source.h"
#include "unit/loop_fake.h"

/// The ports of src/relay, each call of which waits until the test answers it.
namespace await::relay {

struct FakeLeases : Leases {
  struct Asked {
    std::optional<std::int64_t> token;
    std::int64_t span_ms;
  };
  void ask(const std::string &, const std::string &, std::optional<std::int64_t> token, std::int64_t span_ms,
           core::Reply<Lease> &reply) override {
    asked.push_back({token, span_ms});
    replies.push_back(reply);
  }
  void release(const std::string &, std::int64_t token) override { released.push_back(token); }
  void answer(Result<Lease> lease) { replies.pop_front()->deliver(std::move(lease)); }

  std::vector<Asked> asked;
  List<core::Reply<Lease>> replies;
  std::vector<std::int64_t> released;
};

/// The table of events: a position is how many were read.
struct FakeSource : Source {
  void listen(Listener &listener) override { listeners.push_back(&listener); }
  void forget(Listener &listener) override { std::erase(listeners, &listener); }
  void read(Listener &listener, const std::string &position, int limit,
            core::Reply<RelayPage> &reply) override {
    std::size_t from = std::stoul(position);
    std::size_t upto = std::min(all.size(), from + static_cast<std::size_t>(std::min(limit, page_limit)));
    RelayPage page{
        {all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(upto)},
        std::to_string(upto),
        without_cursor ? "" : std::to_string(upto),
        upto == all.size()};
    read_upto[&listener] = upto;
    held.emplace_back(std::move(page));
    replies.push_back(reply);
  }
  /// Answers what was asked, and what is asked by that.
  void answer() {
    while (!held.empty()) {
      RelayPage page = std::move(held.front());
      held.pop_front();
      if (auto *reply = replies.pop_front())
        reply->deliver(std::move(page));
    }
  }
  void fail() {
    held.pop_front();
    if (auto *reply = replies.pop_front())
      reply->deliver(Error{Code::unavailable, "away"});
  }
  void write(int n, std::size_t bytes = 0, const std::string &type = "completed") {
    for (; n > 0; --n) {
      RelayEvent &event = all.emplace_back();
      event.seq = static_cast<int>(all.size());
      event.type = type;
      if (bytes > 0)
        event.data = std::string(bytes, 'x');
    }
    for (Listener *listener : std::vector<Listener *>(listeners))
      listener->on_news();
  }

  std::vector<RelayEvent> all;
  int page_limit = 1000;
  bool without_cursor = false;
  std::map<Listener *, std::size_t> read_upto;
  std::vector<Listener *> listeners;
  std::deque<RelayPage> held;
  List<core::Reply<RelayPage>> replies;
};

/// Keeps each page until the test answers it.
struct FakeSink : Sink {
  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override {
    pages.push_back({events.front().seq, events.back().seq});
    std::size_t bytes = 0;
    for (const RelayEvent &event : events)
      bytes += event.bytes();
    most_bytes = std::max(most_bytes, bytes);
    replies.push_back(reply);
  }
  int page_size() const override { return size; }
  int group_size() const override { return group; }
  void check(core::Reply<Done> &reply) override { reply.deliver(Done{}); }
  bool busy() const { return !replies.empty(); }
  void confirm() { replies.pop_front()->deliver(Done{}); }
  void refuse(const std::string &why) { replies.pop_front()->deliver(Error{Code::unavailable, why}); }

  int size = 10;
  int group = 1;
  std::vector<std::pair<int, int>> pages;  ///< the first and the last event of each
  std::size_t most_bytes = 0;              ///< of a page
  List<core::Reply<Done>> replies;
};

/// Keeps each change until the test answers it.
struct FakeCursors : Cursors {
  bool writable() const override { return true; }
  void open(const std::vector<std::string> &, core::Reply<std::vector<StoredCursor>> &) override {}
  void advance(const std::string &sink, std::int64_t no, const Progress &progress,
               core::Reply<Advanced> &reply) override {
    asked.push_back({sink, no, progress});
    replies.push_back(reply);
  }
  void answer(Result<Advanced> outcome) { replies.pop_front()->deliver(std::move(outcome)); }
  void stored() { answer(Advanced{true, asked.back().no + 1, std::nullopt}); }

  struct Asked {
    std::string sink;
    std::int64_t no;
    Progress progress;
  };
  std::vector<Asked> asked;
  List<core::Reply<Advanced>> replies;
};

}  // namespace await::relay
