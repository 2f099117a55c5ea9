// Tree: what volumes and bind mounts show at a place, or have taken away from it.
#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "base/path.hpp"
#include "source/tree.hpp"

namespace inotifier {
namespace {

bool is_other_birth(const WatchTable::Directory& known, const Stat& stat) {
  return known.btime != 0 && stat.btime != 0 && known.btime != stat.btime;
}

/// A bind mount of a directory on itself changes nothing but the mount.
bool is_same_directory(const WatchTable::Directory& known, const Stat& stat) {
  if (known.inode == 0 || known.inode != stat.inode) return false;
  if (known.btime != 0 && stat.btime != 0) return known.btime == stat.btime;
  return known.dev != 0 && known.dev == stat.dev;
}

/// Whether a volume came to or went from the place of a directory.
bool is_other_volume(const WatchTable::Directory& known, const Stat& stat) {
  if (is_same_directory(known, stat)) return false;
  // A remote one was never looked at.
  if (known.mounted != stat.mount_root) return known.inode != 0 || known.mounted;
  return stat.mount_root && (known.inode != stat.inode || is_other_birth(known, stat));
}

}  // namespace

/// Whether `path` shows, by a bind mount, a directory that is still at the place it is known at. (A
/// scan comes to mount points last, so that is not one if there is a choice.)
bool Tree::is_alias(DirId known, const Stat& stat, const std::string& path) {
  std::string place;
  Stat there;
  if (!table_.path(known, place) || fs_.stat(root_.open(), place, there) != 0 ||
      there.inode != stat.inode || there.dev != stat.dev) {
    return false;
  }
  out_.degraded({Degraded::Reason::kAlias, path,
                 join(root_.path(), path) + ": by a bind mount the same directory as " +
                     join(root_.path(), place) +
                     ", where its files are announced; here they are not"});
  return true;
}

/// The files of an alias are announced at the other place. What is mounted below one of the two
/// shows directories at only one of them: so there it is looked into for these.
Tree::Armed Tree::add_alias(DirId known, DirId parent, const std::string& name,
                            const std::string& path) {
  aliased_.insert(known);
  std::string place;
  table_.path(known, place);
  const DirId there = table_.child(parent, name);
  const bool is_entered = there != kNoDir && is_place_alone(there);
  if (!is_entered && !root_.has_mounts_below(place) && !root_.has_mounts_below(path)) return {};
  return {add_place(parent, name, path), true};
}

bool Tree::is_place_alone(DirId dir) const {
  return table_.at(dir).mounted && table_.at(dir).inode == 0 && !remote_.contains(dir);
}

/// The directory that is known at a place, after what a volume that came or went has changed there.
DirId Tree::settle_volume(DirId parent, const std::string& name, const Stat& stat,
                          const std::string& path) {
  const DirId there = table_.child(parent, name);
  if (there != kNoDir) {
    if (!is_other_volume(table_.at(there), stat)) return there;
    // Mounted when the daemon ran last.
    if (table_.at(there).mounted && table_.at(there).mount == 0 && !stat.mount_root) {
      lose_volume(path);
    }
    root_.note_mount(path, stat.mount_root);
    unwatch(there);
    table_.set_aside(there);
    table_changed();
  }
  const DirId back = table_.find_aside(
      parent, name, [&](const auto& aside) { return !is_other_volume(aside, stat); });
  if (back == kNoDir) return kNoDir;
  table_.attach(back, parent, name);
  table_changed();
  return back;
}

void Tree::change_root(const Stat& stat) {
  const WatchTable::Directory& known = table_.at(kRootDir);
  const bool same = is_same_directory(known, stat) ||
                    (known.inode == stat.inode && !is_other_birth(known, stat) &&
                     known.mounted == stat.mount_root);
  if (known.inode != 0 && !same) {
    const DirId back = table_.find_aside(kRootDir, "", [&](const auto& aside) {
      return aside.inode == stat.inode && !is_other_birth(aside, stat) &&
             aside.mounted == stat.mount_root;
    });
    Stat former;
    former.inode = known.inode;
    former.btime = known.btime;
    former.mount_root = known.mounted;
    const DirId aside = table_.add(kRootDir, "");
    table_.set_aside(aside);
    table_.set_identity(aside, former);
    renumber_root(kRootDir, aside);
    if (back != kNoDir) {
      renumber_root(back, kRootDir);
      table_.remove(back);
    }
    table_changed();
  }
  table_.set_identity(kRootDir, stat);
}

/// Gives what is in one directory to another. What was set aside in the place of the root stays
/// with the root.
void Tree::renumber_root(DirId from, DirId to) {
  std::vector<DirId> children;
  for (DirId child = table_.at(from).first_child; child != kNoDir;
       child = table_.at(child).next_sibling) {
    if (!table_.at(child).name.starts_with('/') || !table_.at(child).name.ends_with('/')) {
      children.push_back(child);
    }
  }
  for (const DirId child : children) table_.attach(child, to, std::string(table_.at(child).name));
  RawEvent event;
  event.kind = RawEvent::Kind::kRootChanged;
  event.from_dir = from;
  event.dir = to;
  out_.sink().on_raw(event);
}

/// A directory that is known by its place alone.
DirId Tree::add_place(DirId parent, const std::string& name, const std::string& path) {
  Stat stat;
  stat.mount_root = true;
  DirId dir = settle_volume(parent, name, stat, path);
  if (dir == kNoDir) dir = table_.add(parent, name);
  table_.set_identity(dir, stat);
  table_.at(dir).armed = table_.at(dir).listed = scan_.number;
  table_changed();
  return dir;
}

/// True if it was not lost before.
bool Tree::lose_volume(const std::string& path) {
  if (!lost_volumes_.insert(path).second) return false;
  Value::Map data;
  data.emplace_back("reason", "unmounted");
  data.emplace_back("directory", to_utf8(path));
  out_.sink().on_status("lost", std::move(data));
  return true;
}

void Tree::on_unmounted(const std::string& path) {
  if (!lose_volume(path)) return;
  const DirId dir = table_.find(path);
  if (dir != kNoDir) unwatch(dir);
}

void Tree::on_mounted(const std::string& path) {
  if (lost_volumes_.erase(path) == 0) return;
  Value::Map data;
  data.emplace_back("directory", to_utf8(path));
  out_.sink().on_status("restored", std::move(data));
}

}  // namespace inotifier
