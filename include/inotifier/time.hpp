// Times as the whole program counts them. Plain values; any thread.
#pragma once

#include <cstdint>

namespace inotifier {

/// Nanoseconds: since 1970 (wall clock), since boot (monotonic), or a duration.
using Nanos = std::int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

/// The time of one turn; constant within it.
struct Now {
  Nanos mono = 0;  ///< CLOCK_MONOTONIC: every wait counts on this one
  Nanos wall = 0;  ///< CLOCK_REALTIME: only ever shown, or compared with times the disk holds
};

}  // namespace inotifier
