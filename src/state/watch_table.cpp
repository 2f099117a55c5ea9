#include "state/watch_table.hpp"

#include <algorithm>
#include <utility>

namespace inotifier {

WatchTable::WatchTable() {
  directories_.emplace_back();
  directories_[kRootDir].alive = true;
  count_ = 1;
}

void WatchTable::restore(const std::vector<Saved>& saved) {
  DirId limit = 1;
  for (const Saved& one : saved) limit = std::max(limit, one.dir + 1);
  directories_.resize(limit);
  for (const Saved& one : saved) {
    Directory& self = directories_[one.dir];
    self.inode = one.inode;
    self.btime = one.btime;
    self.mounted = one.mounted;
    self.alive = true;
  }
  directories_[kRootDir].alive = true;
  for (const Saved& one : saved) {
    // A parent that is not there (a damaged journal): its rows are compared with nothing.
    if (one.dir == kRootDir || one.parent >= limit) continue;
    attach(one.dir, one.parent, one.name);
    ++count_;
  }
  for (DirId dir = limit; dir-- > 0;) {
    if (!directories_[dir].alive) free_.push_back(dir);
  }
}

void WatchTable::note_change(DirId dir) {
  if (!keeps_changes_ || std::exchange(directories_[dir].changed, true)) return;
  changed_.push_back(dir);
}

void WatchTable::forget_changes() {
  for (const DirId dir : changed_) directories_[dir].changed = false;
  changed_.clear();
}

void WatchTable::set_identity(DirId dir, const Stat& stat) {
  Directory& self = directories_[dir];
  self.dev = stat.dev;  // this and the next change with every mount: kept by nobody
  self.mount = stat.mount;
  if (self.inode == stat.inode && self.btime == stat.btime && self.mounted == stat.mount_root) {
    return;
  }
  self.mounted = stat.mount_root;
  self.inode = stat.inode;
  self.btime = stat.btime;
  note_change(dir);
}

std::uint64_t WatchTable::hash_of(DirId dir) const {
  return NameIndex::hash(directories_[dir].parent, directories_[dir].name);
}

DirId WatchTable::child(DirId parent, std::string_view name) const {
  return places_.find(NameIndex::hash(parent, name), [&](DirId dir) {
    return directories_[dir].parent == parent && directories_[dir].name == name;
  });
}

DirId WatchTable::find(std::string_view path) const {
  DirId dir = kRootDir;
  for (std::size_t begin = 0; begin < path.size() && dir != kNoDir;) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    dir = child(dir, path.substr(begin, end - begin));
    begin = end + 1;
  }
  return dir;
}

DirId WatchTable::add(DirId parent, std::string_view name) {
  DirId dir;
  if (free_.empty()) {
    dir = static_cast<DirId>(directories_.size());
    directories_.emplace_back();
  } else {
    dir = free_.back();
    free_.pop_back();
  }
  directories_[dir].alive = true;
  ++count_;
  attach(dir, parent, name);
  return dir;
}

void WatchTable::attach(DirId dir, DirId parent, std::string_view name) {
  unlink(dir);
  Directory& self = directories_[dir];
  self.name = name;
  self.parent = parent;
  self.detached = false;
  if (is_aside_name(name)) ++asides_;
  self.previous_sibling = kNoDir;
  self.next_sibling = directories_[parent].first_child;
  if (self.next_sibling != kNoDir) directories_[self.next_sibling].previous_sibling = dir;
  directories_[parent].first_child = dir;
  places_.insert(hash_of(dir), dir, [this](DirId other) { return hash_of(other); });
  note_change(dir);
}

void WatchTable::detach(DirId dir) {
  unlink(dir);
  directories_[dir].detached = true;
}

void WatchTable::unlink(DirId dir) {
  Directory& self = directories_[dir];
  if (self.parent == kNoDir) return;
  if (is_aside_name(self.name)) --asides_;
  places_.erase(hash_of(dir), dir);
  if (self.previous_sibling != kNoDir) {
    directories_[self.previous_sibling].next_sibling = self.next_sibling;
  } else {
    directories_[self.parent].first_child = self.next_sibling;
  }
  if (self.next_sibling != kNoDir) {
    directories_[self.next_sibling].previous_sibling = self.previous_sibling;
  }
  self.parent = kNoDir;
  self.previous_sibling = self.next_sibling = kNoDir;
}

void WatchTable::remove(DirId dir) {
  unlink(dir);
  unbind(dir);
  note_change(dir);
  const std::uint32_t generation = directories_[dir].generation + 1;
  const bool changed = directories_[dir].changed;
  directories_[dir] = Directory{};
  directories_[dir].generation = generation;
  directories_[dir].changed = changed;
  free_.push_back(dir);
  --count_;
}

void WatchTable::set_aside(DirId dir) {
  const DirId parent = directories_[dir].parent;
  const std::string place = '/' + directories_[dir].name;
  for (std::size_t number = 0;; ++number) {
    const std::string name = '/' + std::to_string(number) + place;
    if (child(parent, name) == kNoDir) return attach(dir, parent, name);
  }
}

bool WatchTable::is_aside(DirId dir) const {
  if (asides_ == 0) return false;
  for (; dir != kNoDir; dir = directories_[dir].parent) {
    if (is_aside_name(directories_[dir].name)) return true;
  }
  return false;
}

std::vector<DirId> WatchTable::asides() const {
  std::vector<DirId> all;
  for (DirId dir = 0; asides_ != 0 && dir < limit(); ++dir) {
    if (is_alive(dir) && is_aside(dir)) all.push_back(dir);
  }
  return all;
}

bool WatchTable::is_below(DirId dir, DirId ancestor) const {
  for (; dir != kNoDir; dir = directories_[dir].parent) {
    if (dir == ancestor) return true;
  }
  return false;
}

std::vector<DirId> WatchTable::subtree(DirId top) const {
  std::vector<DirId> all{top};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (DirId child = directories_[all[i]].first_child; child != kNoDir;
         child = directories_[child].next_sibling) {
      all.push_back(child);
    }
  }
  return all;
}

bool WatchTable::path(DirId dir, std::string& out) const {
  out.clear();
  std::size_t length = 0;
  for (DirId at = dir; at != kRootDir; at = directories_[at].parent) {
    if (at == kNoDir || directories_[at].detached) return false;
    if (is_aside_name(directories_[at].name)) return false;
    length += directories_[at].name.size() + 1;
  }
  if (length == 0) return true;
  // Written from its end: components are met from the leaf upwards.
  out.resize(length - 1);
  std::size_t end = out.size();
  for (DirId at = dir; at != kRootDir; at = directories_[at].parent) {
    const std::string& name = directories_[at].name;
    end -= name.size();
    out.replace(end, name.size(), name);
    if (end > 0) out[--end] = '/';
  }
  return true;
}

void WatchTable::bind(DirId dir, int wd) {
  unbind(dir);
  const DirId holder = by_wd(wd);
  if (holder != kNoDir) directories_[holder].wd = -1;
  directories_[dir].wd = wd;
  by_wd_[wd] = dir;
}

void WatchTable::unbind(DirId dir) {
  const int wd = std::exchange(directories_[dir].wd, -1);
  if (wd >= 0) by_wd_.erase(wd);
}

DirId WatchTable::by_wd(int wd) const {
  const auto found = by_wd_.find(wd);
  return found == by_wd_.end() ? kNoDir : found->second;
}

}  // namespace inotifier
