// The time during which daemons have run on a journal: what is old is told by it, so that no step
// of the wall clock makes anything older. Owned by the Journal; pipeline thread.
//
// It goes as the monotonic clock does and stands still while no daemon runs. What is written now
// and then is where the next run begins; a kill takes back the last minutes, which makes all a
// little younger.
#pragma once

#include "inotifier/time.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {

class RunningClock {
 public:
  /// Null: nothing is kept.
  RunningClock(sqlite::Database* database, const Now& start);

  Nanos at(const Now& now) const;
  /// Of the last watch_wall_clock().
  Nanos last() const { return ran_; }
  /// Logs a step of the wall clock, of an hour or more. Call it every turn.
  void watch_wall_clock(const Now& now);

  /// Whether write() has something that is worth a write of its own, or one beside others.
  bool is_due(const Now& now) const;
  bool is_due_with_others() const;
  /// Writes the time of the last watch_wall_clock(); in a transaction of the caller, or alone.
  void write();
  void committed() { written_ = ran_; }

 private:
  sqlite::Statement put_;
  Nanos kept_ = 0;  ///< of earlier runs
  Nanos start_;     ///< monotonic
  Now last_;
  Nanos ran_ = 0;
  Nanos written_ = 0;
};

}  // namespace inotifier
