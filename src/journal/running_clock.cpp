#include "journal/running_clock.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace inotifier {
namespace {

constexpr Nanos kHour = 3600 * kSecond;
constexpr Nanos kWriteInterval = 600 * kSecond;
constexpr Nanos kWriteWithOthers = 60 * kSecond;

}  // namespace

RunningClock::RunningClock(sqlite::Database* database, const Now& start)
    : start_(start.mono), last_(start) {
  if (database == nullptr) return;
  put_ = sqlite::Statement(*database, "INSERT OR REPLACE INTO meta(key, value) VALUES('ran', ?)");
  kept_ = std::max<Nanos>(0, database->number("SELECT value FROM meta WHERE key='ran'"));
  ran_ = written_ = kept_;
}

Nanos RunningClock::at(const Now& now) const {
  return kept_ + std::max<Nanos>(0, now.mono - start_);
}

void RunningClock::watch_wall_clock(const Now& now) {
  const Nanos step = (now.wall - last_.wall) - (now.mono - last_.mono);
  if (step >= kHour || step <= -kHour) {
    log::warning("the wall clock was set {} by {} s: nothing in the journal gets older by that",
                 step > 0 ? "forward" : "back", (step > 0 ? step : -step) / kSecond);
  }
  last_ = now;
  ran_ = std::max(ran_, at(now));
}

bool RunningClock::is_due(const Now& now) const { return at(now) - written_ >= kWriteInterval; }

bool RunningClock::is_due_with_others() const { return ran_ - written_ >= kWriteWithOthers; }

void RunningClock::write() { put_.bind(1, ran_).run(); }

}  // namespace inotifier
