// Goes through the directories of one watch: new ones at once, all of them in a scan. Work is cut
// by units (about one directory entry each), so that no turn is long. Owned by a Watcher; pipeline
// thread.
#pragma once

#include <cstddef>
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
  /// Scans list so much of directories' files in this turn. Without room directories are watched
  /// all the same: what happens in them must be seen.
  void set_room(std::size_t files) { room_ = files; }

  void begin_scan(Rescans::Due due);
  /// A poller has seen the whole tree, which no scan has.
  void end_first_round(std::int64_t directories, std::int64_t files);
  bool is_scanning() const { return phase_ != Phase::kIdle; }
  bool ever_scanned() const { return tree_.scan().number > 0; }
  /// The first scan has watched every directory.
  bool is_ready() const { return ready_; }
  /// No directory is watched any more: a scan in progress begins anew. False: there is none.
  bool begin_anew();
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
  int list_on(int units);
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
  std::size_t room_ = SIZE_MAX;

  // Of the scan in progress.
  Phase phase_ = Phase::kIdle;
  std::string reason_;
  bool ready_first_ = true;  ///< first watch all directories, then list their files
  DirId cursor_ = 0;
  Nanos started_ = 0;
};

}  // namespace inotifier
