#include "forward/progress.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/log.hpp"

namespace inotifier::forward {

std::string progress_text(const Counts& counts, double rate) {
  std::string text = fmt::format("{} sent, {:.0f}/s, {} in flight, lag {} s", counts.done, rate,
                                 counts.in_flight, counts.lag / kSecond);
  if (counts.rejected > 0) text += fmt::format(", {} failed", counts.rejected);
  return text;
}

void Progress::show(const Counts& counts, Nanos now) {
  const double seconds = static_cast<double>(std::max<Nanos>(now - last_, 1)) / 1e9;
  const double rate = static_cast<double>(counts.done - before_.done) / seconds;
  const bool idle = counts.done == before_.done && counts.rejected == before_.rejected &&
                    counts.in_flight == 0 && counts.lag == 0;
  last_ = now;
  before_ = counts;
  if (terminal_) {
    fmt::print(stderr, "\r{}\x1b[K", progress_text(counts, rate));
    std::fflush(stderr);
    shown_ = true;
  } else if (!idle) {
    log::info("{}", progress_text(counts, rate));
  }
}

void Progress::clear_line() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace inotifier::forward
