// What the three files of the Watcher share.
#pragma once

#include <cerrno>
#include <string>

namespace inotifier {

inline bool is_absence(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

/// The remedy for what a call on a directory said.
inline std::string advice(int error) {
  switch (error) {
    case ENOSPC:
      return "the limit fs.inotify.max_user_watches is used up; raise it: "
             "sysctl fs.inotify.max_user_watches=1048576. Until then this directory is polled";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n, LimitNOFILE=); it is tried again soon";
    case ENOMEM:
      return "it is tried again soon";
    case EACCES:
      return "the daemon's user may not read this directory; give it r-x";
    default:
      return "this directory is polled";
  }
}

}  // namespace inotifier
