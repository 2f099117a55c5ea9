// The signals that the daemon takes, read from a descriptor. Owned by the runner; made before any
// thread is, so that no thread gets one. Pipeline thread.
#pragma once

#include "base/unique_fd.hpp"

namespace inotifier {

class DaemonSignals {
 public:
  /// Blocks them for the whole process, and ignores SIGPIPE. Throws SetupError.
  DaemonSignals();

  struct Taken {
    bool stop = false;    ///< SIGTERM, SIGINT
    bool reload = false;  ///< SIGHUP
    bool rescan = false;  ///< SIGUSR1
    bool child = false;   ///< SIGCHLD
  };
  /// Those that came since the last call.
  Taken take();
  /// Readable while there are some.
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace inotifier
