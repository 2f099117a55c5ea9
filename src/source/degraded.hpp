// Why files of a watch may be seen late, or not at all: what was told of it by watch.degraded.
// Pure; owned by an event source, pipeline thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace inotifier {

struct Degraded {
  enum class Reason {
    kAlias,          ///< a directory that a bind mount shows at a second place
    kInstanceLimit,  ///< no inotify instance: the watch is polled
    kNoLease,        ///< leases do not tell whether a file has a writer
    kNotWatched,     ///< inotify_add_watch failed
    kPolled,         ///< a network or FUSE file system
    kShortage,       ///< of descriptors or memory; passes
    kUnreadable,     ///< a directory
    kWatchLimit,     ///< no watches left
  };
  Reason reason = Reason::kPolled;
  std::string path;    ///< relative to the root; "" speaks of the watch as a whole
  std::string detail;  ///< path, call, cause and remedy, for a person
  /// What the root's file system is like: it holds for every file of the watch.
  bool by_type = false;
};

/// As watch.degraded and status name it.
std::string_view name_of(Degraded::Reason reason);

class DegradedLog {
 public:
  /// True if this is to be told: each reason once for each path, and of so many paths at most.
  bool add(const Degraded& what);
  /// The reasons so far, each once.
  std::vector<std::string> reasons() const;

  static constexpr std::size_t kMostPaths = 1000;

 private:
  std::map<Degraded::Reason, std::set<std::string>> told_;
};

}  // namespace inotifier
