// Which records the kernel's queue held already when a turn ended: they say nothing new of what was
// announced in that turn. Owned by a Watcher; pipeline thread.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "fs/fs.hpp"

namespace inotifier {

class QueueMarks {
 public:
  /// `notifier` may be null: then there is no queue.
  explicit QueueMarks(Notifier* notifier) : notifier_(notifier) {}

  void begin_turn(std::uint32_t turn) { turn_ = turn; }
  std::uint32_t turn() const { return turn_; }
  /// The end of this turn is to be remembered.
  void note_turn() { noted_ = true; }
  void end_turn();

  /// Before records from this position on are handled, and after those before it were.
  void handling(std::uint64_t position);
  void handled(std::uint64_t position) { handled_ = position; }

  /// See Files.
  bool queued_before_end_of(std::uint32_t turn, std::uint64_t position) const;
  bool caught_up_with(std::uint32_t turn) const;

 private:
  Notifier* notifier_;
  std::deque<std::pair<std::uint32_t, std::uint64_t>> ends_;  ///< turn, queue position
  std::uint32_t turn_ = 0;
  bool noted_ = false;
  std::uint64_t handled_ = 0;  ///< bytes of records
};

}  // namespace inotifier
