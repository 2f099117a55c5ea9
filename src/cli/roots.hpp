// Where this program sees the files of the daemon. Owned by the subcommand that reads events; one
// thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inotifier/client.hpp"
#include "inotifier/time.hpp"

namespace inotifier {

/// INOTIFIER_ROOTS="incoming=/mnt/dicom:other=/mnt/o": roots of watches that lie elsewhere for this
/// program than for the daemon. As the clients in other languages have it.
class Roots {
 public:
  /// Throws UsageError.
  explicit Roots(const char* text);
  /// data.root, data.path and data.path_bytes become those of this program.
  void apply(Event& event) const;

 private:
  std::map<std::string, std::string> roots_;  // by the watch's name
};

/// Tells whether a file that is not there is gone. It is, if the root of its watch, and the volume
/// below it that it lies on, are what the daemon has there: the same inodes as in the daemon's
/// status, or on a network file system, where nobody's mount point can be mistaken for it.
class WatchedRoots {
 public:
  explicit WatchedRoots(Connection connection) : connection_(std::move(connection)) {}
  struct Place {
    std::string path;
    std::string inode;  ///< "": not known
  };
  /// Where the event's file can be missed.
  struct Places {
    bool is_watched = true;  ///< false: the watch is not configured any more
    std::string doubt;       ///< why its absence proves nothing, whatever is at the places; or ""
    std::vector<Place> places;  ///< must be there as the daemon sees them
  };
  /// Asks the daemon, at most once a second.
  Places places_of(const Event& event, Nanos now);
  /// Why what is at the places proves nothing; "" if it does. Touches nothing of ours: any thread.
  static std::string doubt_of(const std::vector<Place>& places);

 private:
  const Value* row_of(const std::string& watch, Nanos now);

  Connection connection_;
  std::optional<Requester> requester_;
  Value status_;
  Nanos asked_ = 0;
};

}  // namespace inotifier
