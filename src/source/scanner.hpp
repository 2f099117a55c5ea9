// Goes through the directories of one watch: new ones at once, all of them in a scan. Work is cut
// by units (about one directory entry each), so that no turn is long. Owned by a Watcher; pipeline
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "source/lister.hpp"
#include "source/tree.hpp"

namespace inotifier {

class Scanner {
 public:
  Scanner(const WatchOptions& options, Fs& fs, Root& root, Tree& tree, Rescans& rescans,
          EventSource::Output& out)
      : options_(options),
        root_(root),
        tree_(tree),
        rescans_(rescans),
        out_(out),
        scan_lister_(options, fs, root, tree, rescans, out, scan_tasks_, listings_),
        fresh_lister_(options, fs, root, tree, rescans, out, fresh_, listings_) {}

  void begin_turn(Nanos now) { now_ = now; }
  /// A directory that is new at its place, or may be.
  void take_in(DirId parent, std::string_view name, Origin origin, std::string_view from = {});
  /// Looks into every directory that has no wd, unless something is being looked into already.
  void poll_unwatched();
  /// No more scanning for now; what is new is still looked into, and directories are watched.
  void hold(bool on) { held_ = on; }

  void begin_scan(Rescans::Due due);
  /// A poller has seen the whole tree, which no scan has.
  void end_first_round(std::int64_t directories, std::int64_t files);
  bool is_scanning() const { return phase_ != Phase::kIdle; }
  bool ever_scanned() const { return tree_.scan().number > 0; }
  /// The first scan has watched every directory.
  bool is_ready() const { return ready_; }
  /// The root is lost.
  void stop();
  /// Works on; true if there is more to do.
  bool slice(int units);

 private:
  enum class Phase {
    kIdle,
    kArm,   ///< watches all directories, and lists them if that is one pass
    kList,  ///< lists the files of those that were not listed
    kDrop,  ///< of what was not found
  };

  int run_fresh(int units);
  int run_scan(int units);
  void arm_next();
  void list_next();
  void end_scan();
  void tell_ready(std::int64_t directories, std::int64_t files);

  const WatchOptions& options_;
  Root& root_;
  Tree& tree_;
  Rescans& rescans_;
  EventSource::Output& out_;
  Nanos now_ = 0;
  std::uint32_t listings_ = 0;
  std::deque<ListTask> scan_tasks_;
  std::deque<ListTask> fresh_;
  Lister scan_lister_;
  Lister fresh_lister_;
  bool ready_ = false;
  bool held_ = false;

  // Of the scan in progress.
  Phase phase_ = Phase::kIdle;
  std::string reason_;
  bool ready_first_ = true;  ///< first watch all directories, then list their files
  DirId cursor_ = 0;
  Nanos started_ = 0;
};

}  // namespace inotifier
