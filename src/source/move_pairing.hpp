// Joins the two halves of a rename by their cookie. One for all watches: cookies are global, the
// queues are not, so either half may come first, and watches that overlap see halves of their own.
// Pure; part of Renames, pipeline thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "inotifier/processor.hpp"

namespace inotifier {

struct MoveHalf {
  std::size_t watch = 0;  ///< see Renames::add()
  DirId dir = kNoDir;
  std::string name;
  std::string path;  ///< relative to the watch's root, when the half was seen
  bool is_directory = false;
};

class MovePairing {
 public:
  struct Outcome {
    std::optional<MoveHalf> from;
    std::optional<MoveHalf> to;
    bool from_is_told = false;  ///< `from` was part of an earlier outcome, in its own watch
  };

  /// A MOVED_FROM waits kFromWait for its other half.
  void add_from(std::uint32_t cookie, MoveHalf half, Nanos now);
  /// A MOVED_TO. The kernel queues FROM before TO, so within a watch the partner is here already.
  /// Without one, the file comes from outside, or, where there are `others`, perhaps from a watch
  /// whose queue was not read yet: then it waits kToWait.
  std::optional<Outcome> add_to(std::uint32_t cookie, MoveHalf half, Nanos now, bool others);

  /// A half whose time is over.
  std::optional<Outcome> expire(Nanos now);
  std::optional<Nanos> deadline() const;

  static constexpr Nanos kFromWait = 200'000'000;
  static constexpr Nanos kToWait = 10'000'000;

 private:
  using Key = std::pair<std::uint32_t, std::size_t>;  ///< cookie, watch
  struct PendingHalf {
    MoveHalf half;
    bool is_from = false;
    bool told = false;
    Nanos until = 0;
  };
  std::map<Key, PendingHalf> halves_;
  std::deque<std::pair<Nanos, Key>> from_order_;
  std::deque<std::pair<Nanos, Key>> to_order_;
};

}  // namespace inotifier
