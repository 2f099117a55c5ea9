// The limits of inotify(7), and how much of them is used by all programs of this user. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace inotifier {

struct InotifyLimit {
  std::string name;                  ///< of the sysctl that limits: "fs.inotify.max_user_watches"
  std::optional<std::int64_t> most;  ///< nothing if it cannot be read
};

struct InotifyLimits {
  InotifyLimit watches;
  InotifyLimit instances;
  InotifyLimit queued_events;
  std::int64_t watches_used = 0;
  std::int64_t instances_used = 0;
  /// False if some program of this user did not let itself be looked at.
  bool is_complete = true;
};

InotifyLimits read_inotify_limits();

}  // namespace inotifier
