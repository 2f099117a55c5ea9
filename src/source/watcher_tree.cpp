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
  table_.detach(dir);
  table_changed();
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
    RawEvent event;
    event.kind = RawEvent::Kind::kDirGone;
    event.dir = *dir;
    sink_.on_raw(event);
    table_.remove(*dir);
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

/// Gives an open directory its number and its watch. What the kernel says (wd, inode) is the truth;
/// a table that says otherwise is corrected. kNoDir if that cannot be done now.
DirId Watcher::arm(DirId parent, const std::string& name, int handle, const Stat& stat,
                   const std::string& path, std::string& moved_from) {
  const int wd = add_watch(handle, path);
  const DirId there = table_.child(parent, name);
  const DirId known = wd >= 0 ? table_.by_wd(wd) : kNoDir;
  DirId dir = there;
  if (known != kNoDir && known != there) {
    // We knew this directory under another name.
    if (known == kRootDir || table_.is_below(parent, known)) {
      rescan("inconsistent", Origin::kRescan);
      return kNoDir;
    }
    if (moved_from.empty()) table_.path(known, moved_from);
    if (there != kNoDir) detach(there);
    table_.attach(known, parent, name);
    dir = known;
  } else if (there != kNoDir && table_.at(there).wd >= 0 && wd >= 0 && table_.at(there).wd != wd) {
    // Another directory stood here; it may turn up elsewhere.
    detach(there);
    dir = table_.add(parent, name);
  } else if (there == kNoDir) {
    dir = table_.add(parent, name);
  }
  table_changed();
  set_watch(dir, wd);
  table_.at(dir).inode = stat.inode;
  table_.at(dir).dev = stat.dev;
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
    if (child != kNoDir && open_directory(parent) >= 0) drop(child);
    return;
  }
  degraded("unreadable", path,
           describe("openat", join(root_.path(), path), error) + ": " + advice(error));
}

}  // namespace inotifier
