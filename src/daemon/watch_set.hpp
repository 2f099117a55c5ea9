// The watches that run: gives each its inotify instance or its poller, and changes them to those of
// a new configuration. Owned by the runner; pipeline thread.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "daemon/pipeline.hpp"
#include "source/inotify_source.hpp"
#include "source/mailbox.hpp"
#include "source/poller.hpp"

namespace inotifier {

class WatchSet {
 public:
  WatchSet(Pipeline& pipeline, Mailbox& mailbox, InotifySource& source, PollBox& poll_box);

  void add(const WatchConfig& watch);
  /// While the source is stopped, and the pipeline between turns and not blocked. The kernel's
  /// queues hold what happens meanwhile: a watch that stays, stays as it is, and one with other
  /// options keeps its instance. False, and nothing is changed, if the journal cannot note it; the
  /// log says why.
  bool change_to(const std::vector<WatchConfig>& watches);

 private:
  struct Running {
    WatchConfig config;
    std::size_t number = 0;  ///< of the pipeline
    bool polled_remotely = false;
  };
  Poller& add_poller();
  static RemoteTree::Asks asks_of(Poller& poller);
  /// `path` is relative to the root.
  void start_poller(Poller& poller, std::size_t watch, DirId part, const std::string& path,
                    const WatchConfig& config);
  void stop_poller(std::size_t watch, DirId part);
  void remove(const Running& running);

  Pipeline& pipeline_;
  Mailbox& mailbox_;
  InotifySource& source_;
  PollBox& poll_box_;
  std::vector<std::unique_ptr<Poller>> pollers_;
  std::vector<Running> running_;
  std::size_t count_ = 0;  ///< ever added
};

}  // namespace inotifier
