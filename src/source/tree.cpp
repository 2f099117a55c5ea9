#include "source/tree.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

// As long as a rename's other half is waited for.
constexpr Nanos kOnItsWay = MovePairing::kFromWait;

/// Whether the directory that has this wd and stat is not the one that the table has at its place.
bool is_another(const WatchTable::Directory& known, int wd, const Stat& stat) {
  if (wd >= 0 && known.wd >= 0) return known.wd != wd;
  // Without a wd (the daemon was down, or it is polled) the disk tells; 0: never looked at.
  return known.inode != 0 &&
         (known.inode != stat.inode || (known.btime != 0 && known.btime != stat.btime));
}

bool is_same(const WatchTable::Directory& known, const Stat& stat) {
  return known.inode == stat.inode && known.mount == stat.mount && known.btime == stat.btime;
}

}  // namespace

bool Tree::is_at(DirId dir, const std::string& path) {
  Stat stat;
  return fs_.stat(root_.open(), path, stat) == 0 && stat.inode == table_.at(dir).inode &&
         stat.mount == table_.at(dir).mount;
}

const FsTraits& Tree::traits_of(DirId dir) const {
  const auto other = others_.find(table_.at(dir).mount);
  return other == others_.end() ? root_.traits() : other->second;
}

// --- a scan

void Tree::begin_scan(Origin origin, bool absence_counts) {
  scan_ = {true, scan_.number + 1, origin, absence_counts};
  search_ = {};
  for (DirId dir = 0; dir < table_.limit(); ++dir) {
    const auto& self = table_.at(dir);
    if (self.alive && self.wd < 0 && self.inode != 0 && !table_.is_aside(dir))
      search_.known.emplace_back(self.inode, dir);
  }
  std::sort(search_.known.begin(), search_.known.end());
}

/// Another directory is known at its place: it was replaced, and the daemon killed before it turned
/// up elsewhere.
bool Tree::is_replaced(DirId dir) const {
  const auto& self = table_.at(dir);
  return !self.detached && table_.child(self.parent, self.name) != dir;
}

bool Tree::drop_missing() {
  if (search_.missing.empty()) return false;
  const DirRef missing = search_.missing.back();
  // Those that turned up elsewhere were armed there.
  bool done = !table_.is(missing) || table_.at(missing.dir).armed == scan_.number;
  if (!done && !is_replaced(missing.dir)) {
    Stat stat;
    const int error = fs_.stat(root_.open(), departed_.last_path(missing.dir), stat);
    done = !is_absence(-error) && (error != 0 || S_ISDIR(stat.mode));
  }
  if (!done) {
    DirId leaf = missing.dir;
    while (table_.at(leaf).first_child != kNoDir) leaf = table_.at(leaf).first_child;
    done = leaf == missing.dir;
    drop(leaf);
  }
  if (done) search_.missing.pop_back();
  return true;
}

void Tree::end_scan() {
  for (DirId dir = departed_.expire(now_); dir != kNoDir; dir = departed_.expire(now_)) drop(dir);
  search_ = {};
  scan_.running = false;
}

std::string Tree::former_path(DirId dir) const {
  std::string below;
  for (; dir != kNoDir && !search_.moved.empty(); dir = table_.at(dir).parent) {
    const auto moved = search_.moved.find(dir);
    if (moved != search_.moved.end()) return join(moved->second, below);
    below = below.empty() ? table_.at(dir).name : join(table_.at(dir).name, below);
  }
  return {};
}

// --- directories that leave

void Tree::detach(DirId dir) {
  departed_.add(dir, now_ + kOnItsWay);
  table_changed();
}

/// Another directory is in its place. A scan in progress may still find it elsewhere; nothing else
/// will.
void Tree::replace(DirId dir) {
  departed_.add(dir, scan_.running ? now_ : now_ + kOnItsWay);
  table_changed();
}

void Tree::miss(DirId dir) {
  if (!scan_.running) return drop(dir);
  search_.missing.push_back(table_.ref(dir));
}

void Tree::drop(DirId top) {
  const std::vector<DirId> all = table_.subtree(top);
  for (auto dir = all.rbegin(); dir != all.rend(); ++dir) {
    const int wd = table_.at(*dir).wd;
    if (wd >= 0) {
      table_.retire(wd);
      notifier_->remove_watch(wd);
    }
    open_.take_back(*dir);
    unwatched_.erase(*dir);
    remote_.erase(*dir);
    // Its alias may be the only place now where it is to be seen.
    if (aliased_.erase(*dir) != 0) rescans_.ask("mount");
    const std::string path = departed_.last_path(*dir);
    RawEvent event;
    event.kind = RawEvent::Kind::kDirGone;
    event.origin = scan_.running ? scan_.origin : Origin::kLive;
    event.dir = *dir;
    event.path = path;
    event.rebuilt = (!scan_.running || scan_.absence_counts) && !table_.is_aside(*dir);
    out_.sink().on_raw(event);
    table_.remove(*dir);
    departed_.forget(*dir);
  }
  table_changed();
}

void Tree::unwatch(DirId top) {
  for (const DirId dir : table_.subtree(top)) {
    const int wd = table_.at(dir).wd;
    unwatched_.erase(dir);
    remote_.erase(dir);
    if (wd < 0) continue;
    table_.retire(wd);
    table_.unbind(dir);
    notifier_->remove_watch(wd);
  }
}

void Tree::unwatch_all() {
  for (DirId dir = 0; dir < table_.limit(); ++dir) {
    const int wd = table_.at(dir).wd;
    if (wd < 0) continue;
    table_.retire(wd);
    table_.unbind(dir);
    notifier_->remove_watch(wd);
  }
}

void Tree::on_moved(const MoveHalf& from, const MoveHalf& to) {
  const DirId dir = departed_.take(from.dir, from.name);
  if (dir == kNoDir) return;
  const DirId there = table_.child(to.dir, to.name);
  if (there != kNoDir && there != dir) detach(there);  // an empty one was replaced
  if (!table_.is_alive(to.dir) || table_.is_below(to.dir, dir)) return drop(dir);
  table_.attach(dir, to.dir, to.name);
  departed_.forget(dir);
  table_changed();
}

void Tree::on_time() {
  if (scan_.running) return;  // it may still find them
  for (DirId dir = departed_.expire(now_); dir != kNoDir; dir = departed_.expire(now_)) drop(dir);
}

std::optional<Nanos> Tree::deadline() const {
  return scan_.running ? std::nullopt : departed_.deadline();
}

// --- directories that come

/// The directory's wd; or a negative errno, which is told. -ENODATA in a watch that is polled.
int Tree::add_watch(int handle, const std::string& path) {
  if (notifier_ == nullptr) return -ENODATA;
  std::uint32_t mask =
      options_.mask | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
  if (path.empty()) mask |= IN_DELETE_SELF | IN_MOVE_SELF;  // the root
  // A file that has no name any more can be no finished one.
  if (!options_.raw) mask |= IN_EXCL_UNLINK;
  const int wd = notifier_->add_watch(handle, mask);
  if (wd >= 0) return wd;
  const int error = -wd;
  if (is_absence(error)) return wd;  // it was removed at once; its record tells
  if (error == EEXIST) {
    conflict_ = true;
    return wd;
  }
  if (error == ENOSYS) {
    out_.degraded({Degraded::Reason::kNotWatched, "",
                   describe("open", "/proc/self/fd", ENOENT) +
                       ": /proc is not mounted, and without it no directory can be watched; mount "
                       "it (mount -t proc proc /proc). Until then directories are polled"});
    return wd;
  }
  const std::string what =
      describe("inotify_add_watch", join(root_.path(), path), error) + ": " + advice(error);
  if (error == ENOSPC) {
    // The limit is one for all directories: told once, with how far we came.
    out_.degraded({Degraded::Reason::kWatchLimit, "",
                   what + " (" + std::to_string(table_.watched()) + " directories are watched)"});
  } else {
    out_.degraded({error == EACCES ? Degraded::Reason::kUnreadable : Degraded::Reason::kNotWatched,
                   path, what});
  }
  return wd;
}

void Tree::set_watch(DirId dir, int wd) {
  table_.at(dir).armed = scan_.number;
  if (wd >= 0) {
    if (table_.at(dir).wd != wd) table_.bind(dir, wd);
    unwatched_.erase(dir);
  } else if (wd != -ENODATA && wd != -EACCES && !is_absence(-wd)) {
    unwatched_.insert(dir);
  }
}

/// A directory without a wd that was known before, by inode and creation time: what stands at the
/// place itself, or what had another place that it has left. kNoDir if there is none.
DirId Tree::known_directory(const Stat& stat, DirId there) {
  if (!root_.traits().keeps_inodes) return there;
  const auto is_it = [&](DirId dir) {
    const auto& self = table_.at(dir);
    return self.alive && self.wd < 0 && self.inode == stat.inode &&
           (self.btime == stat.btime || self.btime == 0);
  };
  if (there != kNoDir && is_it(there)) return there;
  const auto begin =
      std::lower_bound(search_.known.begin(), search_.known.end(), std::pair(stat.inode, DirId{0}));
  for (auto at = begin; at != search_.known.end() && at->first == stat.inode; ++at) {
    const DirId dir = at->second;
    if (dir >= table_.limit() || dir == kRootDir || !is_it(dir)) continue;
    if (table_.at(dir).armed == scan_.number) continue;
    Stat old;
    const int error = fs_.stat(root_.open(), departed_.last_path(dir), old);
    const bool is_there = error == 0 && old.inode == stat.inode;
    if (is_there && old.dev == stat.dev) return dir;  // `stat` is of an alias
    if (table_.at(dir).btime != 0 && !is_there && (error == 0 || is_absence(-error))) return dir;
  }
  return kNoDir;
}

Tree::Armed Tree::arm(DirId parent, const std::string& name, int handle, const Stat& stat,
                      const std::string& path, std::string& moved_from) {
  DirId there = table_.child(parent, name);
  // What is still an alias has no volume to settle.
  const bool was_alias = there != kNoDir && is_place_alone(there);
  if (!was_alias) there = settle_volume(parent, name, stat, path);
  const int wd = add_watch(handle, path);
  DirId known = wd >= 0 ? table_.by_wd(wd) : kNoDir;
  if (known == kNoDir) known = known_directory(stat, there);
  if (known != kNoDir && known != there && is_alias(known, stat, path)) {
    return add_alias(known, parent, name, path);
  }
  if (was_alias) there = settle_volume(parent, name, stat, path);
  DirId dir = there;
  if (known != kNoDir && known != there) {
    // We knew this directory under another name.
    if (known == kRootDir || table_.is_below(parent, known)) {
      rescans_.ask("inconsistent");
      return {};
    }
    if (there != kNoDir && is_same(table_.at(there), stat)) {
      // And by now under this one too, where it got a number while it could not be watched.
      replace(known);
    } else {
      if (moved_from.empty()) moved_from = departed_.last_path(known);
      if (there != kNoDir) replace(there);
      table_.attach(known, parent, name);
      departed_.forget(known);
      if (scan_.running) search_.moved[known] = moved_from;
      dir = known;
    }
  } else if (there != kNoDir && known == kNoDir && is_another(table_.at(there), wd, stat)) {
    // Another directory stood here; it may turn up elsewhere.
    replace(there);
    dir = table_.add(parent, name);
  } else if (there == kNoDir) {
    dir = table_.add(parent, name);
  }
  table_changed();
  set_watch(dir, wd);
  table_.set_identity(dir, stat);
  if (stat.mount != root_.stat().mount && !others_.contains(stat.mount)) {
    others_[stat.mount] = fs_.traits(handle);
  }
  // Writes of other machines give no events: look from time to time as well.
  if (!traits_of(dir).local && notifier_ != nullptr) unwatched_.insert(dir);
  return {dir};
}

void Tree::not_there(DirId parent, const std::string& name, int error, const std::string& path) {
  if (error == EREMOTE) {
    remote_.insert(add_place(parent, name, path));
    return;
  }
  if (is_absence(error)) {
    const DirId child = table_.child(parent, name);
    if (child != kNoDir && open_.open(parent) >= 0) miss(child);
    return;
  }
  out_.degraded({is_shortage(error) ? Degraded::Reason::kShortage : Degraded::Reason::kUnreadable,
                 path, describe("openat", join(root_.path(), path), error) + ": " + advice(error)});
  if (passes(error)) rescans_.ask(is_shortage(error) ? "shortage" : "unreadable");
}

}  // namespace inotifier
