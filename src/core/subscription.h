#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/position.h"
#include "core/watcher.h"

namespace await::core {

/// What subscriptions use. Must outlive them.
struct SubscriptionServices : ReadServices<EventRead> {
  const std::uint32_t &timeline;  ///< of the database; 0 until it is known
  const CursorKeys &keys;         ///< known with the timeline
};

/// One channel as one client reads it, page by page from its cursor on. Each call to the Reader may destroy
/// it.
class Subscription {
 public:
  class Reader {
   public:
    /// The next page. Call next() when it was processed.
    /// @param lost  events between the cursor of the client and this page cannot be read any more
    virtual void on_page(Subscription &subscription, const EventPage &page, bool lost) = 0;
    /// A read has failed and will be retried; or, not_found, the channel does not exist for this client.
    virtual void on_error(Subscription &subscription, const Error &error) = 0;
    /// The owner whose jobs the client may see; empty: those of all. Called with the first page of a job or a
    /// batch.
    virtual std::optional<std::string_view> owner() const = 0;

   protected:
    ~Reader() = default;
  };

  /// What is read, and from which position.
  struct Source {
    Uuid id;
    std::string name;          ///< of a topic or a user, as clients write it; empty: a job or a batch
    std::string owner;         ///< of a user's channel
    std::string cursor;        ///< as sent; empty: none
    bool signed_hints = true;  ///< whether they are used instead of a read
  };
  Subscription(Reader &reader, SubscriptionServices &services, Source source);

  /// Starts to read. If it `listens`, it reads again when the channel changes.
  void start(bool listens);
  const Uuid &id() const { return watcher_.read().id; }
  Kind kind() const { return kind_of(id()); }
  /// The channel as clients write it.
  std::string channel() const {
    return name_ ? *name_ : (kind() == Kind::batch ? "batch:" : "job:") + id().text();
  }
  Position &position() { return position_; }
  const Position &position() const { return position_; }
  /// Whether it was read at least once.
  bool known() const { return known_; }
  std::uint32_t timeline() const { return static_cast<SubscriptionServices &>(watcher_.services()).timeline; }

  /// The page was processed up to the position: waits for changes, or reads the next page.
  void next(const EventPage &page);
  void look() { watcher_.look(); }
  /// Reads again from the position.
  void restart();
  /// The client cannot take more: no more reads until resume().
  void pause() { watcher_.pause(); }
  void resume() { watcher_.resume(); }
  bool paused() const { return watcher_.paused(); }
  /// Ends the subscription: no more calls to the Reader.
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
  bool known_ = false;  // it exists for this client
};

}  // namespace await::core
