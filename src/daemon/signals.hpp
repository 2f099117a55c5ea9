// The signals that the daemon takes, by a thread of their own: what asks it to stop is answered
// within a second even if the pipeline thread hangs on something. Made first of all in `run` and
// `watch`, before anything that may hang and before any thread, so that no other thread gets one.
#pragma once

#include <memory>

namespace inotifier {

class DaemonSignals {
 public:
  /// Blocks them for the whole process, and ignores SIGPIPE. `hangup_reloads`: SIGHUP is taken even
  /// if the program was started with it ignored. Throws SetupError.
  explicit DaemonSignals(bool hangup_reloads);
  /// Once it was asked to stop, the rest of the process still has to end in time.
  ~DaemonSignals();
  DaemonSignals(const DaemonSignals&) = delete;
  DaemonSignals& operator=(const DaemonSignals&) = delete;

  struct Taken {
    bool stop = false;    ///< SIGTERM, SIGINT
    bool reload = false;  ///< SIGHUP
    bool rescan = false;  ///< SIGUSR1
    bool child = false;   ///< SIGCHLD
  };
  /// Those that came since the last call. Pipeline thread.
  Taken take();
  /// Readable while there are some.
  int fd() const;

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace inotifier
