// The watches that run: gives each its inotify instance, or a share of one, or its poller, and
// changes them to those of a new configuration. Owned by the runner; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/pipeline.hpp"
#include "source/inotify_source.hpp"
#include "source/poller.hpp"

namespace inotifier {

/// Half of what a user may have by default (fs.inotify.max_user_instances = 128). Up to here each
/// watch has an inotify instance of its own, so that an overflow concerns it alone.
constexpr std::size_t kUnsharedInstances = 64;

class WatchSet {
 public:
  WatchSet(Pipeline& pipeline, InotifySource& source, PollBox& poll_box);

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
    std::optional<std::size_t> instance;  ///< its number
  };
  struct Instance {
    SharedInstance& instance;
    std::vector<std::string> roots;  ///< of the watches that have it
  };
  /// For a new watch; nothing, with the errno in `error`, if it has to be polled.
  std::optional<std::size_t> instance_for(const std::string& root, int& error);
  std::optional<std::size_t> add_instance(std::uint64_t position, int& error);
  void leave_instance(const Running& running);
  SharedInstance* other_instance(std::size_t watch, std::uint64_t position, int& error);
  Poller& add_poller();
  static RemoteTree::Asks asks_of(Poller& poller);
  /// `path` is relative to the root.
  void start_poller(Poller& poller, std::size_t watch, DirId part, const std::string& path,
                    const WatchConfig& config);
  void stop_poller(std::size_t watch, DirId part);
  void remove(const Running& running);

  Pipeline& pipeline_;
  InotifySource& source_;
  PollBox& poll_box_;
  std::vector<std::unique_ptr<Poller>> pollers_;
  std::vector<Running> running_;
  std::map<std::size_t, Instance> instances_;  ///< by number
  std::size_t count_ = 0;                      ///< ever added
};

}  // namespace inotifier
