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
#include "source/poll_round.hpp"

namespace inotifier {

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
  explicit Poller(PollBox& box);
  /// Starts the thread. Once. `interval`: the pause between two rounds.
  void start(PollRound::Options options, Nanos interval);
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
  std::shared_ptr<Shared> shared_;
};

}  // namespace inotifier
