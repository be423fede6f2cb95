#pragma once

#include "core/ports.h"

namespace await::core {

/// Two buses as one: every call goes to both, and the same hint may come twice.
class BothBuses : public Bus {
 public:
  BothBuses(Bus &first, Bus &second) : first_(first), second_(second) {}

  void subscribe(unsigned shard) override {
    first_.subscribe(shard);
    second_.subscribe(shard);
  }
  void unsubscribe(unsigned shard) override {
    first_.unsubscribe(shard);
    second_.unsubscribe(shard);
  }
  void publish(const Uuid &job, int seq, std::string_view type) override {
    first_.publish(job, seq, type);
    second_.publish(job, seq, type);
  }
  void announce(std::string_view queue) override {
    first_.announce(queue);
    second_.announce(queue);
  }

 private:
  Bus &first_;
  Bus &second_;
};

}  // namespace await::core
