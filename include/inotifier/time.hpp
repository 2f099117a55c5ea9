// Times as the whole program counts them. Plain values; any thread.
#pragma once

#include <cstdint>

namespace inotifier {

/// Nanoseconds: since 1970 (wall clock), since boot (monotonic), or a duration.
using Nanos = std::int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

/// Sum and difference; at the ends of what can be counted (the years 1677 and 2262) they stay
/// there.
constexpr Nanos saturated_sum(Nanos time, Nanos wait) {
  Nanos sum = 0;
  return __builtin_add_overflow(time, wait, &sum) ? (wait > 0 ? INT64_MAX : INT64_MIN) : sum;
}
constexpr Nanos saturated_difference(Nanos time, Nanos earlier) {
  Nanos difference = 0;
  return __builtin_sub_overflow(time, earlier, &difference) ? (earlier < 0 ? INT64_MAX : INT64_MIN)
                                                            : difference;
}

/// The time of one turn; constant within it.
struct Now {
  Nanos mono = 0;  ///< CLOCK_MONOTONIC: every wait counts on this one
  Nanos wall = 0;  ///< CLOCK_REALTIME: only ever shown, or compared with times the disk holds
};

}  // namespace inotifier
