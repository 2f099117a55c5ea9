// A lock file held with flock(2), so that a second daemon does not use what the first one uses. The
// file stays when the lock is gone: if it were removed, two daemons could hold one lock each.
// Owned by whoever uses the thing that is locked; any thread.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace inotifier {

class FileLock {
 public:
  FileLock() = default;
  /// Takes `<path>.lock`. False if another process holds it. Throws SetupError if the file cannot
  /// be opened or locked.
  bool take(const std::string& path);

 private:
  UniqueFd fd_;
};

}  // namespace inotifier
