// Watcher: the tree of directories, and keeping it true.
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "source/watcher.hpp"
#include "source/watcher_internal.hpp"

namespace inotifier {
namespace {

// As long as a rename's other half is waited for.
constexpr Nanos kLimbo = 200 * kMillisecond;

/// Whether the directory that has this wd and stat is not the one that the table has at its place.
bool is_another(const WatchTable::Directory& known, int wd, const Stat& stat) {
  if (wd >= 0 && known.wd >= 0) return known.wd != wd;
  // Without a wd (the daemon was down, or it is polled) the disk tells; 0: never looked at.
  return known.inode != 0 &&
         (known.inode != stat.inode || (known.btime != 0 && known.btime != stat.btime));
}

}  // namespace

bool Watcher::is_valid(const Ref& ref) const {
  return ref.dir < table_.limit() && table_.at(ref.dir).alive &&
         table_.at(ref.dir).generation == ref.generation;
}

const std::string* Watcher::dir_path(DirId dir) {
  if (dir != cached_dir_) {
    cached_dir_ = table_.path(dir, cached_path_) ? dir : kNoDir;
    if (cached_dir_ == kNoDir) return nullptr;
  }
  return &cached_path_;
}

/// A descriptor of this very directory, for this turn; -1 if its path does not lead to it just now:
/// while renames are in the queue it may lead to another, or nowhere.
int Watcher::open_directory(DirId dir) {
  // What is being listed is open already.
  for (const Lister* lister : {&scan_lister_, &fresh_lister_}) {
    if (*lister && lister->dir == dir) return lister->handle;
  }
  if (opened_ >= 0 && opened_dir_ == dir) return opened_;
  close_directory();
  const std::string* path = dir_path(dir);
  if (path == nullptr || root_.open() < 0) return -1;
  if (dir == kRootDir) return root_.open();
  const int handle = fs_.open_directory(root_.open(), *path);
  if (handle < 0) return -1;
  Stat stat;
  const auto& known = table_.at(dir);
  if (fs_.stat(handle, "", stat) != 0 || stat.inode != known.inode || stat.dev != known.dev) {
    fs_.close(handle);
    return -1;
  }
  opened_ = handle;
  opened_dir_ = dir;
  return handle;
}

void Watcher::close_directory() {
  if (opened_ >= 0) fs_.close(std::exchange(opened_, -1));
}

void Watcher::table_changed() {
  cached_dir_ = kNoDir;
  close_directory();
}

std::vector<DirId> Watcher::subtree(DirId top) const {
  std::vector<DirId> all{top};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (DirId child = table_.at(all[i]).first_child; child != kNoDir;
         child = table_.at(child).next_sibling) {
      all.push_back(child);
    }
  }
  return all;
}

void Watcher::detach(DirId dir) {
  const auto& self = table_.at(dir);
  limbo_.push_back({ref(dir), self.parent, self.name, now_.mono + kLimbo});
  was_at_[dir] = last_path(dir);
  table_.detach(dir);
  table_changed();
}

/// Where it is, or was before it (or a directory above) was seen to leave.
std::string Watcher::last_path(DirId dir) const {
  std::string path;
  for (; dir != kRootDir && dir != kNoDir; dir = table_.at(dir).parent) {
    const bool detached = table_.at(dir).detached;
    std::string here = table_.at(dir).name;
    if (detached) {
      const auto was = was_at_.find(dir);
      if (was != was_at_.end()) here = was->second;
    }
    path = path.empty() ? std::move(here) : join(here, path);
    if (detached) break;
  }
  return path;
}

/// The path it had before the scan in progress found it, or a directory above, elsewhere; "" if
/// that did not happen.
std::string Watcher::former_path(DirId dir) const {
  std::string below;
  for (; dir != kNoDir && !scan_.moved.empty(); dir = table_.at(dir).parent) {
    const auto moved = scan_.moved.find(dir);
    if (moved != scan_.moved.end()) return join(moved->second, below);
    below = below.empty() ? table_.at(dir).name : join(table_.at(dir).name, below);
  }
  return {};
}

/// Another directory is in its place. A scan in progress may still find it elsewhere; nothing else
/// will.
void Watcher::replace(DirId dir) {
  detach(dir);
  if (scan_.phase != Scan::Phase::kIdle) limbo_.back().until = now_.mono;
}

/// It is not where it was. A scan in progress may find it elsewhere; otherwise it is gone.
void Watcher::miss(DirId dir) {
  if (scan_.phase == Scan::Phase::kIdle) return drop(dir);
  scan_.missing.push_back(ref(dir));
}

void Watcher::drop(DirId top) {
  std::vector<DirId> all = subtree(top);
  for (auto dir = all.rbegin(); dir != all.rend(); ++dir) {
    const int wd = table_.at(*dir).wd;
    if (wd >= 0) {
      table_.retire(wd);
      notifier_->remove_watch(wd);
    }
    if (scan_lister_.dir == *dir) close(scan_lister_);
    if (fresh_lister_.dir == *dir) close(fresh_lister_);
    unwatched_.erase(*dir);
    const std::string path = last_path(*dir);
    RawEvent event;
    event.kind = RawEvent::Kind::kDirGone;
    event.origin = scan_.phase == Scan::Phase::kIdle ? Origin::kLive : scan_.origin;
    event.dir = *dir;
    event.path = path;
    event.rebuilt = scan_.phase == Scan::Phase::kIdle || scan_.absence_counts;
    sink_.on_raw(event);
    table_.remove(*dir);
    was_at_.erase(*dir);
  }
  table_changed();
}

/// Takes the watches away; directories and what is known below them stay.
void Watcher::unwatch(DirId top) {
  for (const DirId dir : subtree(top)) {
    const int wd = table_.at(dir).wd;
    if (wd < 0) continue;
    table_.retire(wd);
    table_.unbind(dir);
    notifier_->remove_watch(wd);
  }
}

void Watcher::take_in(DirId parent, std::string_view name, Origin origin, std::string_view from) {
  Task task;
  task.parent = ref(parent);
  task.name = name;
  task.origin = origin;
  task.from = from;
  fresh_.push_back(std::move(task));
}

/// The directory's wd; or a negative errno, which is told. -ENODATA in a watch that is polled.
int Watcher::add_watch(int handle, const std::string& path) {
  if (notifier_ == nullptr) return -ENODATA;
  std::uint32_t mask =
      options_.mask | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
  if (path.empty()) mask |= IN_DELETE_SELF | IN_MOVE_SELF;  // the root
  // A file that has no name any more can be no finished one.
  if (!options_.raw) mask |= IN_EXCL_UNLINK;
  const int wd = notifier_->add_watch(handle, mask);
  if (wd >= 0) return wd;
  const int error = -wd;
  const std::string what =
      describe("inotify_add_watch", join(root_.path(), path), error) + ": " + advice(error);
  if (error == ENOSPC) {
    // The limit is one for all directories: told once, with how far we came.
    degraded("watch_limit", {},
             what + " (" + std::to_string(table_.watched()) + " directories are watched)");
  } else {
    degraded(error == EACCES ? "unreadable" : "not_watched", path, what);
  }
  return wd;
}

void Watcher::set_watch(DirId dir, int wd) {
  table_.at(dir).armed = scan_.number;
  if (wd >= 0) {
    if (table_.at(dir).wd != wd) table_.bind(dir, wd);
    unwatched_.erase(dir);
  } else if (wd != -ENODATA && wd != -EACCES) {
    unwatched_.insert(dir);
  }
}

/// A directory without a wd that was known before, by inode and creation time: what stands at the
/// place itself, or what had another place that it has left. kNoDir if there is none.
DirId Watcher::known_directory(const Stat& stat, DirId there) {
  if (!root_.traits().keeps_inodes) return there;
  const auto is_it = [&](DirId dir) {
    const auto& self = table_.at(dir);
    return self.alive && self.wd < 0 && self.inode == stat.inode &&
           (self.btime == stat.btime || self.btime == 0);
  };
  if (there != kNoDir && is_it(there)) return there;
  const auto begin =
      std::lower_bound(scan_.known.begin(), scan_.known.end(), std::pair(stat.inode, DirId{0}));
  for (auto at = begin; at != scan_.known.end() && at->first == stat.inode; ++at) {
    const DirId dir = at->second;
    if (dir >= table_.limit() || dir == kRootDir || !is_it(dir)) continue;
    if (table_.at(dir).btime == 0 || table_.at(dir).armed == scan_.number) continue;
    Stat old;
    const int error = fs_.stat(root_.open(), last_path(dir), old);
    if (is_absence(-error) || (error == 0 && old.inode != stat.inode)) return dir;
  }
  return kNoDir;
}

/// Gives an open directory its number and its watch. What the kernel says (wd, inode) is the truth;
/// a table that says otherwise is corrected. kNoDir if that cannot be done now.
DirId Watcher::arm(DirId parent, const std::string& name, int handle, const Stat& stat,
                   const std::string& path, std::string& moved_from) {
  const DirId there = table_.child(parent, name);
  if (there != kNoDir && table_.at(there).mounted && table_.at(there).wd < 0 && !stat.mount_root &&
      is_empty(fs_, handle)) {
    // A volume was mounted here when the daemon ran last. What is known of it is kept.
    if (lost_mounts_.insert(path).second) {
      Value::Map data;
      data.emplace_back("reason", "unmounted");
      data.emplace_back("directory", to_utf8(path));
      sink_.on_status("lost", std::move(data));
    }
    return kNoDir;
  }
  const int wd = add_watch(handle, path);
  DirId known = wd >= 0 ? table_.by_wd(wd) : kNoDir;
  if (known == kNoDir) known = known_directory(stat, there);
  DirId dir = there;
  if (known != kNoDir && known != there) {
    // We knew this directory under another name.
    if (known == kRootDir || table_.is_below(parent, known)) {
      rescan("inconsistent", Origin::kRescan);
      return kNoDir;
    }
    if (moved_from.empty()) moved_from = last_path(known);
    if (there != kNoDir) replace(there);
    table_.attach(known, parent, name);
    was_at_.erase(known);
    if (scan_.phase == Scan::Phase::kArm) scan_.moved[known] = moved_from;
    dir = known;
  } else if (there != kNoDir && known == kNoDir && is_another(table_.at(there), wd, stat)) {
    // Another directory stood here; it may turn up elsewhere.
    replace(there);
    dir = table_.add(parent, name);
  } else if (there == kNoDir) {
    dir = table_.add(parent, name);
  }
  table_changed();
  set_watch(dir, wd);
  table_.set_identity(dir, stat.inode, stat.dev, stat.btime, stat.mount_root);
  if (stat.dev != root_.dev() && !others_.contains(stat.dev)) {
    others_[stat.dev] = fs_.traits(handle);
  }
  // Writes of other machines give no events: look from time to time as well.
  if (!traits_of(dir).local && notifier_ != nullptr) unwatched_.insert(dir);
  return dir;
}

void Watcher::not_there(DirId parent, const std::string& name, int error, const std::string& path) {
  if (is_absence(error)) {
    const DirId child = table_.child(parent, name);
    if (child != kNoDir && open_directory(parent) >= 0) miss(child);
    return;
  }
  degraded(is_shortage(error) ? "shortage" : "unreadable", path,
           describe("openat", join(root_.path(), path), error) + ": " + advice(error));
  if (is_shortage(error)) rescan("shortage", Origin::kRescan);
}

}  // namespace inotifier
