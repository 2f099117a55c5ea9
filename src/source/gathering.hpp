// When the reader thread may wake up again. A wake-up costs more than the record it is for: two
// switches of threads, a turn, a commit and a message to ZeroMQ's I/O thread follow it. So, as
// network cards do with interrupts, a few in a row go through at once, and from then on there is
// one a millisecond, for all that has come meanwhile. This trades at most a millisecond of delay
// under load for the cost of the wake-ups. Owned by the reader thread; it is told the time.
#pragma once

#include <algorithm>

#include "inotifier/time.hpp"

namespace inotifier {

class Gathering {
 public:
  /// A writer makes a few hundred records in it, and the kernel's queue holds 16,384: reading later
  /// overflows nothing. Twice as long would save little more, there being hundreds in each already.
  static constexpr Nanos kInterval = kMillisecond;
  /// As many as one file can cause: made, times and mode set, closed, and both halves of a rename
  /// is what rsync leaves, each record with a wake-up of its own.
  static constexpr Nanos kAtOnce = 6;

  /// The queues were emptied at `now`. How long to leave them alone then; at most kInterval.
  Nanos on_emptied(Nanos now) {
    paid_until_ = std::max(paid_until_, now) + kInterval;
    return std::max<Nanos>(0, paid_until_ - now - kAtOnce * kInterval);
  }

 private:
  Nanos paid_until_ = 0;  ///< monotonic; how far one wake-up per interval would have come
};

}  // namespace inotifier
