// What a person sees of the work: a line that is rewritten every second on a terminal, and a log
// line a minute otherwise. Owned by the Forwarder, on its thread.
#pragma once

#include <cstdint>
#include <string>

#include "inotifier/time.hpp"

namespace inotifier::forward {

struct Counts {
  std::int64_t done = 0;
  std::int64_t rejected = 0;
  std::int64_t in_flight = 0;
  Nanos lag = 0;  ///< age of the oldest event that the other side does not have
};

/// "1234 sent, 210/s, 57 in flight, lag 3 s, 2 failed".
std::string progress_text(const Counts& counts, double rate);

class Progress {
 public:
  /// `terminal`: whether standard error is one.
  explicit Progress(bool terminal, Nanos now) : terminal_(terminal), last_(now) {}

  /// Whether show() would show something now: then the counts are worth their making.
  bool due(Nanos now) const { return now - last_ >= (terminal_ ? kSecond : 60 * kSecond); }
  void show(const Counts& counts, Nanos now);
  /// Before anything else is written to the terminal, and at the end.
  void clear_line();

 private:
  const bool terminal_;
  bool shown_ = false;
  Nanos last_;
  Counts before_;
};

}  // namespace inotifier::forward
