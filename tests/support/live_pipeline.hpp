// A pipeline on the kernel, turned by a thread of its own: what the daemon is without its sockets.
// Its owner's thread makes, holds and ends it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/event_fd.hpp"
#include "config/config.hpp"
#include "daemon/pipeline.hpp"
#include "fs/real_fs.hpp"
#include "inotifier/event.hpp"
#include "journal/journal.hpp"
#include "source/inotify_source.hpp"
#include "source/mailbox.hpp"

namespace inotifier::testing {

class LivePipeline {
 public:
  /// Small, so that a held pipeline soon leaves the records to the kernel's queue.
  static constexpr std::size_t kMailboxBytes = 64U << 10U;

  /// `shared`: all watches have one inotify instance.
  LivePipeline(const std::vector<WatchConfig>& watches, const std::string& journal, bool shared);
  ~LivePipeline();
  LivePipeline(const LivePipeline&) = delete;
  LivePipeline& operator=(const LivePipeline&) = delete;

  /// Moves what was published since the last call to the end of `events`.
  void take(std::vector<Event>& events);
  void rescan();
  /// Returns when the turn in progress is over; no other begins until it is let go.
  void hold(bool on);

 private:
  enum class Order { kNone, kRescan, kHold, kLetGo, kStop };
  void give(Order order);
  void run();
  bool obey();

  std::mutex mutex_;  ///< for order_ and events_
  std::condition_variable obeyed_;
  Order order_ = Order::kNone;
  std::vector<Event> events_;
  EventFd wake_;

  // In the order of the start.
  Prober prober_;
  RealFs fs_{prober_};
  Journal journal_;
  Mailbox mailbox_;
  InotifySource source_;
  Pipeline pipeline_;
  std::thread thread_;
};

}  // namespace inotifier::testing
