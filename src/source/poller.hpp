// Looks at one network or FUSE tree from time to time, on a thread of its own: a dead server hangs
// this thread and nobody else. What it saw travels with what it says, so that the pipeline never
// touches the tree.
//
// PollBox is where the poller leaves what it saw; it is bounded: a poller that is faster than the
// pipeline waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/event_fd.hpp"
#include "fs/fs.hpp"

namespace inotifier {

struct PolledFile {
  std::string path;  ///< relative to the root
  Stat stat;
};

/// Part of one round through the tree, in order.
struct PollResult {
  std::size_t watch = 0;
  DirId part = kRootDir;          ///< directory that the paths are relative to
  Stat root;                      ///< what the paths are relative to
  std::vector<PolledFile> files;  ///< regular files
  std::vector<std::string> gone;  ///< of what was asked for: lstat said ENOENT
  bool end_of_round = false;
  bool whole = true;             ///< at the end: every directory could be read
  int root_error = 0;            ///< the root could not be opened; nothing was seen
  bool unmounted = false;        ///< the root is on no remote volume any more; nothing was seen
  std::int64_t directories = 0;  ///< at the end
  std::vector<std::pair<std::string, int>> unreadable;  ///< directories, errno
};

class PollBox {
 public:
  /// Poller: waits while the box is full. False: stop.
  bool put(PollResult result);
  /// Pipeline.
  void take(std::vector<PollResult>& out);
  int filled_fd() const { return filled_.fd(); }
  void close();

 private:
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<PollResult> items_;
  EventFd filled_;
  bool closed_ = false;
};

class Poller {
 public:
  struct Options {
    std::size_t watch = 0;
    DirId part = kRootDir;
    std::string root;  ///< absolute
    bool recursive = true;
    Nanos interval = 0;
    std::function<bool(std::string_view)> enters;
  };
  explicit Poller(PollBox& box);
  /// Starts the thread. Once.
  void start(Options options);
  /// A thread that hangs in the kernel is left behind: a dead mount must not keep us from stopping.
  /// At the end the box is to be closed before.
  ~Poller();
  std::size_t watch() const;
  DirId part() const;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Pipeline: look at these paths by name at the beginning of the next round.
  void ask(std::vector<std::string> paths);
  /// Pipeline: begin the next round now.
  void hurry();
  /// Monotonic time of the call that the volume has not answered yet; 0 = there is none.
  Nanos asked_since() const;

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);
  static void round(Shared& shared, Fs& fs);
  std::shared_ptr<Shared> shared_;
};

}  // namespace inotifier
