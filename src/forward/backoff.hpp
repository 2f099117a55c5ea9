// How long to wait before the next try: doubles, and is spread so that many who lost the same
// broker do not come back at the same moment. Plain value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "inotifier/time.hpp"

namespace inotifier::forward {

class Backoff {
 public:
  static constexpr Nanos kFirst = 200 * kMillisecond;
  static constexpr Nanos kLongest = 30 * kSecond;

  explicit Backoff(std::uint32_t seed) : random_(seed) {}

  /// After so many tries in vain: between half and all of 200 ms, 400 ms, 800 ms, ... 30 s.
  Nanos after(std::int64_t tries) {
    Nanos delay = kFirst;
    for (std::int64_t i = 1; i < tries && delay < kLongest; ++i) delay *= 2;
    delay = std::min(delay, kLongest);
    return std::uniform_int_distribution<Nanos>(delay / 2, delay)(random_);
  }

 private:
  std::minstd_rand random_;
};

}  // namespace inotifier::forward
