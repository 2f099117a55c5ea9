#include "serve/state_feed.hpp"

#include <algorithm>

namespace inotifier {
namespace {

constexpr Nanos kPause = kSecond;

}  // namespace

StateFeed::StateFeed(Journal& journal, Consumers& consumers)
    : journal_(journal), consumers_(consumers), snapshot_(journal) {
  consumers_.each([this](StoredConsumer& consumer) {
    if (consumer.kept.snapshot) names_.push_back(consumer.name);
  });
}

void StateFeed::add(StoredConsumer& consumer) {
  consumer.kept.snapshot = Snapshot::beginning();
  names_.push_back(consumer.name);
}

StoredConsumer* StateFeed::turn(const Now& now) {
  if (names_.empty() || now.mono < next_) return nullptr;
  StoredConsumer* consumer = consumers_.find(names_.front());
  if (consumer == nullptr || !consumer->kept.snapshot) {
    names_.erase(names_.begin());
    return nullptr;
  }
  const std::size_t room = journal_.blocked() || consumer->id == 0 ? 0 : journal_.room(now);
  if (room == 0 || !snapshot_.slice(*consumer, now.wall, room)) {
    next_ = now.mono + kPause;
    return nullptr;
  }
  std::rotate(names_.begin(), names_.begin() + 1, names_.end());
  return consumer;
}

std::optional<Nanos> StateFeed::deadline() const {
  return names_.empty() ? std::nullopt : std::optional(next_);
}

}  // namespace inotifier
