// What is to be tried again, and when: each after a delay that doubles. Time is given.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/clock.hpp"

namespace inotifier {

template <typename Work>
class RetrySchedule {
 public:
  static constexpr Nanos kLongestDelay = 300 * kSecond;

  /// `delay`: before the second try.
  explicit RetrySchedule(Nanos delay) : first_(delay) {}

  /// After so many tries. Doubles up to five minutes, or the first delay if that is longer.
  Nanos delay_after(std::int64_t tries) const {
    Nanos delay = first_;
    const Nanos longest = std::max(kLongestDelay, delay);
    for (std::int64_t i = 1; i < tries && delay < longest; ++i) delay *= 2;
    return std::min(delay, longest);
  }

  void add(Nanos time, Work work) { waiting_.emplace(time, std::move(work)); }
  bool empty() const { return waiting_.empty(); }
  void clear() { waiting_.clear(); }
  /// When the next one is due; not if there is none.
  Nanos next() const { return waiting_.begin()->first; }
  /// One that is due.
  std::optional<Work> take(Nanos now) {
    if (waiting_.empty() || next() > now) return std::nullopt;
    std::optional<Work> work = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    return work;
  }

 private:
  Nanos first_;
  std::multimap<Nanos, Work> waiting_;  // by its time
};

}  // namespace inotifier
