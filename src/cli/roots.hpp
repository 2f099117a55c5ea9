// Where this program sees the files of the daemon. Owned by the subcommand that reads events; one
// thread.
#pragma once

#include <map>
#include <optional>
#include <string>

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

/// Tells whether a file that is not there is gone. It is, if the root of its watch is the directory
/// that the daemon watches: the same inode as in the daemon's status, or on a network file system,
/// where nobody's mount point can be mistaken for it. A watch that is not configured any more is
/// believed.
class WatchedRoots {
 public:
  explicit WatchedRoots(Connection connection) : connection_(std::move(connection)) {}
  /// Why the absence of the event's file proves nothing; "" if it does. Asks the daemon, at most
  /// once a second.
  std::string doubt(const Event& event, Nanos now);

 private:
  const Value* row_of(const std::string& watch, Nanos now);

  Connection connection_;
  std::optional<Requester> requester_;
  Value status_;
  Nanos asked_ = 0;
};

}  // namespace inotifier
