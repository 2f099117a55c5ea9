// The files of one watch that are being waited for: candidates and temporaries, by name and by the
// time of their next look. Owned by a Completion.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inotifier/processor.hpp"
#include "process/candidate.hpp"
#include "state/name_index.hpp"

namespace inotifier {

class InProgress {
 public:
  static constexpr Nanos kNever = INT64_MAX;

  /// To read, or to change anything but dir, name, due, origin and stage. Null if there is none;
  /// valid until the next put().
  Candidate* find(DirId dir, std::string_view name);
  /// Takes one out; a default one with its name set if there was none.
  Candidate take(DirId dir, std::string_view name, bool& existed);
  void put(Candidate candidate);
  void erase_directory(DirId dir);
  /// Names of those in `dir` that listing number `listing` did not show.
  std::vector<std::string> unlisted(DirId dir, std::uint32_t listing) const;

  template <typename Each>
  void each(Each each) const {
    for (const Candidate& one : slots_) {
      if (one.dir != kNoDir) each(one);
    }
  }

  /// Takes those whose time has come: at most so many, and so many finds (Candidate::is_find())
  /// after all others.
  std::vector<Candidate> take_due(Nanos now, std::size_t most, std::size_t finds);
  std::optional<Nanos> deadline(bool with_finds);
  std::size_t undecided() const { return undecided_; }
  std::size_t size() const { return slots_.size() - free_.size(); }

 private:
  struct Timer {
    Nanos due;
    std::uint64_t number;  ///< those that are due together keep their order
    std::uint32_t slot;
    bool operator>(const Timer& other) const {
      return due != other.due ? due > other.due : number > other.number;
    }
  };
  std::uint32_t find_slot(DirId dir, std::string_view name) const;
  Candidate take_slot(std::uint32_t slot);
  bool is_stale(const Timer& timer) const {
    return slots_[timer.slot].dir == kNoDir || slots_[timer.slot].due != timer.due;
  }
  using Timers = std::vector<Timer>;  ///< a heap, the soonest first; some are stale
  void add_timer(Nanos due, std::uint32_t slot);
  void drop_stale(Timers& timers);
  void take_due(Timers& timers, Nanos now, std::size_t most, std::vector<Candidate>& out);

  std::deque<Candidate> slots_;
  std::vector<std::uint32_t> free_;
  NameIndex index_;
  std::unordered_map<DirId, std::uint32_t> in_directory_;
  Timers timers_;
  Timers find_timers_;
  std::uint64_t last_number_ = 0;  ///< of a timer
  std::size_t undecided_ = 0;
};

}  // namespace inotifier
