// The directories of one watch: gives them their numbers and their watches, and keeps the table
// true to what the kernel says, whatever is renamed, replaced or removed. Owned by a Watcher;
// pipeline thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/fs.hpp"
#include "source/departed.hpp"
#include "source/event_source.hpp"
#include "source/move_pairing.hpp"
#include "source/open_directories.hpp"
#include "source/rescans.hpp"
#include "source/root.hpp"
#include "source/watch_options.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class Tree {
 public:
  /// A scan of the whole watch.
  struct Scan {
    bool running = false;
    std::uint32_t number = 0;
    Origin origin = Origin::kStartup;
    bool absence_counts = true;
  };

  /// What arm() gives.
  struct Armed {
    DirId dir = kNoDir;  ///< kNoDir: not to be looked into, or not now
    /// Its files are announced elsewhere: only its subdirectories are looked into.
    bool is_alias = false;
  };

  /// `notifier` may be null: then nothing is watched, and all is polled.
  Tree(const WatchOptions& options, Fs& fs, Notifier* notifier, Root& root, Rescans& rescans,
       EventSource::Output& out)
      : options_(options),
        fs_(fs),
        notifier_(notifier),
        root_(root),
        rescans_(rescans),
        out_(out),
        departed_(table_),
        open_(table_, root, fs) {}

  void begin_turn(Nanos now) { now_ = now; }
  WatchTable& table() { return table_; }
  const WatchTable& table() const { return table_; }
  OpenDirectories& open() { return open_; }
  /// Whether `path` leads to this very directory.
  bool is_at(DirId dir, const std::string& path);
  const FsTraits& traits_of(DirId dir) const;
  bool has_other_volumes() const { return !others_.empty(); }
  /// Without a wd: to be polled.
  const std::set<DirId>& unwatched() const { return unwatched_; }

  /// Where remote volumes are mounted: for pollers.
  const std::set<DirId>& remote() const { return remote_; }

  // A scan
  const Scan& scan() const { return scan_; }
  void begin_scan(Origin origin, bool absence_counts);
  /// One directory that the scan did not find, from the leaves up. False: there is none left.
  bool drop_missing();
  void end_scan();
  /// The root is lost.
  void abandon_scan() { scan_.running = false; }
  /// The path it had before the scan in progress found it, or a directory above, elsewhere; "" if
  /// that did not happen.
  std::string former_path(DirId dir) const;

  // Directories
  /// Gives an open directory its number and its watch. What the kernel says (wd, inode) is the
  /// truth; a table that says otherwise is corrected.
  Armed arm(DirId parent, const std::string& name, int handle, const Stat& stat,
            const std::string& path, std::string& moved_from);
  void arm_root(int handle) { set_watch(kRootDir, add_watch(handle, "")); }
  /// It could not be opened.
  void not_there(DirId parent, const std::string& name, int error, const std::string& path);
  /// It is not where it was. A scan in progress may find it elsewhere; otherwise it is gone.
  bool is_replaced(DirId dir) const;
  void miss(DirId dir);
  /// It left its place; where it arrives a record tells.
  void detach(DirId dir);
  void drop(DirId top);
  /// Takes the watches away; directories and what is known below them stay.
  void unwatch(DirId top);
  /// All of them, also of directories that have no place.
  void unwatch_all();
  /// Since the last call, another watch of the inotify instance turned out to hold a directory.
  bool take_conflict() { return std::exchange(conflict_, false); }

  // Renames of directories
  void on_moved(const MoveHalf& from, const MoveHalf& to);
  void on_left(const MoveHalf& from) { departed_.give_up(from.dir, from.name, now_); }
  /// Drops what did not turn up in time.
  void on_time();
  std::optional<Nanos> deadline() const;

  // Volumes below the root, by relative path
  void on_unmounted(const std::string& path);
  void on_mounted(const std::string& path);
  /// The root is this directory from now on. What is known of another one is set aside.
  void change_root(const Stat& stat);
  void set_root_remote() { remote_.insert(kRootDir); }

 private:
  int add_watch(int handle, const std::string& path);
  void set_watch(DirId dir, int wd);
  void replace(DirId dir);
  void table_changed() { open_.table_changed(); }
  DirId known_directory(const Stat& stat, DirId there);
  bool is_alias(DirId known, const Stat& stat, const std::string& path);
  bool lose_volume(const std::string& path);
  DirId settle_volume(DirId parent, const std::string& name, const Stat& stat,
                      const std::string& path);
  Armed add_alias(DirId known, DirId parent, const std::string& name, const std::string& path);
  DirId add_place(DirId parent, const std::string& name, const std::string& path);
  bool is_place_alone(DirId dir) const;
  void renumber_root(DirId from, DirId to);

  /// What a scan in progress has found out about directories.
  struct Search {
    /// Those that were not where they were known to be: dropped at the end of the scan, for until
    /// then they may turn up elsewhere.
    std::vector<DirRef> missing;
    std::map<DirId, std::string> moved;  ///< those that did, with the paths they had
    /// inode -> number of the directories without a wd, sorted: what was known before the daemon
    /// came. A directory is known again by inode and creation time.
    std::vector<std::pair<std::uint64_t, DirId>> known;
  };

  const WatchOptions& options_;
  Fs& fs_;
  Notifier* notifier_;
  Root& root_;
  Rescans& rescans_;
  EventSource::Output& out_;
  Nanos now_ = 0;
  WatchTable table_;
  Departed departed_;
  OpenDirectories open_;
  std::set<DirId> unwatched_;
  bool conflict_ = false;  ///< see take_conflict()
  std::set<DirId> remote_;
  std::set<DirId> aliased_;                   ///< those that a bind mount shows elsewhere as well
  std::set<std::string> lost_volumes_;        ///< relative paths of volumes that went away
  std::map<std::uint64_t, FsTraits> others_;  ///< of what is mounted below it, by mount
  Scan scan_;
  Search search_;
};

}  // namespace inotifier
