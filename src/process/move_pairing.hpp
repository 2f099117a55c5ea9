// Joins the two halves of a rename by their cookie. One for all watches: cookies are global, the
// queues are not, so either half may come first. Pure; owned by the pipeline, pipeline thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "inotifier/processor.hpp"

namespace inotifier {

struct MoveHalf {
  std::size_t watch = 0;  ///< the pipeline's number of the watch
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
  };

  /// A MOVED_FROM. Its partner, if that came first; otherwise it waits kFromWait.
  std::optional<Outcome> add_from(std::uint32_t cookie, MoveHalf half, Nanos now);
  /// A MOVED_TO. The kernel queues FROM before TO, so with one watch a missing partner is outside;
  /// with several, it may be in a queue that was not read yet: then it waits kToWait.
  std::optional<Outcome> add_to(std::uint32_t cookie, MoveHalf half, Nanos now, bool others);

  /// A half whose time is over.
  std::optional<Outcome> expire(Nanos now);
  std::optional<Nanos> deadline() const;
  /// Whether a directory or file of this watch is on its way.
  bool waiting() const { return !halves_.empty(); }

  static constexpr Nanos kFromWait = 200'000'000;
  static constexpr Nanos kToWait = 10'000'000;

 private:
  struct Waiting {
    MoveHalf half;
    bool is_from = false;
    Nanos until = 0;
  };
  std::unordered_map<std::uint32_t, Waiting> halves_;
  std::deque<std::pair<Nanos, std::uint32_t>> from_order_;
  std::deque<std::pair<Nanos, std::uint32_t>> to_order_;
};

}  // namespace inotifier
