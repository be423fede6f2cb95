#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/list.h"
#include "relay/source.h"
#include "relay/table_source.h"
#include "relay/wal_stream.h"

namespace await::relay {

/// Reads events from the write-ahead log as far as it can, and otherwise from the tables: at the start, after
/// a cut of the stream, and for a sink that is too slow for the events of the last moments. No sink depends
/// on the log for what it gets: its stored cursor is one of the tables.
class WalSource : public Source, private Source::Listener, private WalStream::Listener {
 public:
  /// @param tables  must outlive this
  WalSource(io::Loop &loop, io::Log &log, io::Random &random, WalStream::Settings settings,
            TableSource &tables);
  ~WalSource() override;

  void listen(Source::Listener &listener) override;
  void forget(Source::Listener &listener) override;
  void read(Source::Listener &listener, const std::string &position, int limit,
            core::Reply<RelayPage> &reply) override;

 private:
  /// Of a sink that is attached: as text "wal:<reader>:<place>:<cursor>".
  struct Position {
    std::uint64_t reader;
    RecentEvents::Place place;
    std::string cursor;  // it has everything up to here
    std::string text() const;
  };
  /// A read whose answer is in memory. It comes at the end of this iteration of the event loop.
  struct Read {
    Read(Source::Listener &of, Position from, int most, core::Reply<RelayPage> &to)
        : listener(of), position(std::move(from)), limit(most) {
      reply.push_back(to);
    }
    Source::Listener &listener;
    Position position;
    int limit;
    List<core::Reply<RelayPage>> reply;  // one; none after its owner was destroyed
  };
  /// A read of the tables, after which the sink may attach.
  struct TableRead {
    TableRead(WalSource &owner, core::Reply<RelayPage> &reply) : owner_(owner) { theirs.push_back(reply); }
    void on_page(Result<RelayPage> page) { owner_.on_table_page(*this, std::move(page)); }
    WalSource &owner_;
    List<core::Reply<RelayPage>> theirs;
    core::Reply<RelayPage> mine = core::Reply<RelayPage>::to<&TableRead::on_page>(this);
  };
  class AnswerTask : public io::Task {
   public:
    explicit AnswerTask(WalSource &owner) : owner_(owner) {}
    void run() noexcept override { owner_.answer(); }

   private:
    WalSource &owner_;
  };

  static std::optional<Position> parse(std::string_view text);
  void on_news() override { tell(); }
  int most_hints() const override;
  void on_recent_events() override;
  void tell();
  void answer();
  RelayPage page_at(Position position, int limit);
  void read_tables(Source::Listener &listener, const std::string &cursor, int limit,
                   core::Reply<RelayPage> &reply);
  void on_table_page(TableRead &read, Result<RelayPage> page);
  std::optional<Position> attach(const std::string &cursor);
  void leave(std::uint64_t reader);
  void leave_lost_places();
  void poll_tables();

  io::Loop &loop_;
  TableSource &tables_;
  WalStream stream_;
  std::vector<Source::Listener *> listeners_;
  std::map<std::uint64_t, RecentEvents::Place> readers_;  // that are attached
  std::uint64_t last_reader_ = 0;
  bool polls_tables_ = false;
  std::list<Read> reads_;
  std::vector<std::unique_ptr<TableRead>> table_reads_;
  AnswerTask answer_task_{*this};
};

}  // namespace await::relay
