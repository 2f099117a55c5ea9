// The two clocks, read once per turn.
#pragma once

#include "inotifier/processor.hpp"

namespace inotifier {

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

Now read_clocks();

}  // namespace inotifier
