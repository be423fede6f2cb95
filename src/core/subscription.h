#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/position.h"
#include "core/watcher.h"

namespace await::core {

/// What feeds work with.
struct SubscriptionServices : ReadServices<EventRead> {
  const std::uint32_t &timeline;  ///< the database's, as far as it is known
  const CursorKeys &keys;         ///< known with the timeline
};

/// One channel, as one client reads it: page after page, from its cursor on. Whom it feeds may destroy it in
/// any of the calls.
class Subscription {
 public:
  class Reader {
   public:
    /// The next page. `lost`: what lies between it and the client's cursor cannot be told.
    virtual void on_page(Subscription &feed, const EventPage &page, bool lost) = 0;
    /// It could not be read, and is tried again by itself; or, not_found, it is not there for this client.
    virtual void on_error(Subscription &feed, const Error &error) = 0;
    /// Whose jobs the client may see; nothing: anybody's. Asked with the first page of a job.
    virtual std::optional<std::string_view> owner() const = 0;

   protected:
    ~Reader() = default;
  };

  /// What is read, and from where.
  struct Source {
    Uuid id;
    std::string name;          ///< as clients write it, of what is always there; empty: a job
    std::string owner;         ///< whose jobs, of a user's
    std::string cursor;        ///< as sent; empty: none
    bool signed_hints = true;  ///< whether they are taken for a read
  };
  Subscription(Reader &reader, SubscriptionServices &services, Source source);

  /// Reads, and goes on reading for as long as it `listens`.
  void start(bool listens);
  const Uuid &id() const { return watcher_.read().id; }
  Kind kind() const { return kind_of(id()); }
  /// As clients write it.
  std::string channel() const { return name_ ? *name_ : "job:" + id().text(); }
  Position &place() { return position_; }
  const Position &place() const { return position_; }
  /// Whether it was read once.
  bool known() const { return known_; }
  std::uint32_t timeline() const { return static_cast<SubscriptionServices &>(watcher_.services()).timeline; }

  /// The page was taken in, as far as the place says: waits for what comes next, or reads it.
  void next(const EventPage &page);
  void look() { watcher_.look(); }
  /// Reads anew from its place.
  void restart();
  /// The client has no room: no more reads until resume().
  void pause() { watcher_.pause(); }
  void resume() { watcher_.resume(); }
  bool paused() const { return watcher_.paused(); }
  /// No more calls.
  void leave() { watcher_.leave(); }

 private:
  void on_read(Result<const EventPage *> page);
  bool is_theirs(const EventPage &page) const;
  void take(const EventPage &page);
  EventPage silence() const;

  Reader &reader_;
  std::unique_ptr<std::string> name_;
  Position position_;
  Watcher<EventRead> watcher_;
  bool known_ = false;  // it is there, and this client's
};

}  // namespace await::core
