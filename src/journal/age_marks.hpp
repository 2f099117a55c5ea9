// Which entries of the event log are how old, and where in it the wall clock was set back. Owned by
// the EventLog; pipeline thread.
#pragma once

#include <cstdint>
#include <vector>

#include "inotifier/time.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {

class AgeMarks {
 public:
  /// Null: nothing is kept.
  explicit AgeMarks(sqlite::Database* database);

  // Each in a transaction of the caller, or alone.

  /// Entries up to `position` are there at `ran`, a time of the RunningClock.
  void add(std::uint64_t position, Nanos ran);
  /// Entries after `position` may have earlier times than those up to it.
  void add_set_back(std::uint64_t position);
  /// Marks up to `position` are of no use any more.
  void forget(std::uint64_t position);

  /// The last mark of add(), if there is one.
  std::uint64_t last_position() const { return last_position_; }
  Nanos last_ran() const { return last_ran_; }
  /// Entries up to here were there at `ran` already; 0 if none is known to have been.
  std::uint64_t there_at(Nanos ran);
  /// Positions of add_set_back(), in order.
  std::vector<std::uint64_t> set_backs();

 private:
  sqlite::Database* database_;
  sqlite::Statement put_;
  std::uint64_t last_position_ = 0;
  Nanos last_ran_ = 0;
};

}  // namespace inotifier
