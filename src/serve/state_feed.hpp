// Consumers made with `start: "state"`: each turn one of them is given some more of what is there,
// until it has all (journal/snapshot.hpp). Owned by FetchService; pipeline thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "journal/consumers.hpp"
#include "journal/snapshot.hpp"

namespace inotifier {

class StateFeed {
 public:
  /// Goes on with those that were not finished before a restart.
  StateFeed(Journal& journal, Consumers& consumers);

  /// A new consumer; its `snapshot` is set.
  void add(StoredConsumer& consumer);
  /// The consumer that was given something; nullptr: none was. Nothing may be waiting for
  /// Consumers::flush().
  StoredConsumer* turn(const Now& now);
  /// Monotonic time of the next turn().
  std::optional<Nanos> deadline() const;

 private:
  Journal& journal_;
  Consumers& consumers_;
  Snapshot snapshot_;
  std::vector<std::string> names_;  ///< of consumers, the next one first
  Nanos next_ = 0;
};

}  // namespace inotifier
