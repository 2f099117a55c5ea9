// Hands the halves of each rename, joined where both are seen, to the watches that they concern.
// One for all watches; owned by the pipeline, pipeline thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "source/move_pairing.hpp"

namespace inotifier {

class Renames {
 public:
  /// A watch that sees renames. Each half it adds is answered by one of these calls, perhaps at
  /// once.
  class Watch {
   public:
    virtual ~Watch() = default;
    virtual const std::string& root_path() const = 0;
    virtual void on_moved(const MoveHalf& from, const MoveHalf& to) = 0;
    /// `from_path` is absolute, or empty if it came from where nobody watches.
    virtual void on_arrived(const MoveHalf& to, std::string_view from_path) = 0;
    virtual void on_left(const MoveHalf& from) = 0;
  };

  /// A number for the halves' `watch`; not used again after remove().
  std::size_t add(Watch& watch);
  void remove(std::size_t number) { watches_.erase(number); }
  std::size_t watches() const { return watches_.size(); }

  void on_from(std::uint32_t cookie, MoveHalf half, Nanos now);
  void on_to(std::uint32_t cookie, MoveHalf half, Nanos now);
  /// Answers the halves whose time is over.
  void on_time(Nanos now);
  std::optional<Nanos> deadline() const { return pairing_.deadline(); }

 private:
  Watch* watch_of(const std::optional<MoveHalf>& half) const;
  void settle(const MovePairing::Outcome& outcome);

  MovePairing pairing_;
  std::map<std::size_t, Watch*> watches_;
  std::size_t last_ = 0;
};

}  // namespace inotifier
