#include "source/watch_table.hpp"

#include <utility>

namespace inotifier {

WatchTable::WatchTable() {
  directories_.emplace_back();
  directories_[kRootDir].alive = true;
  count_ = 1;
}

std::uint64_t WatchTable::hash_of(DirId dir) const {
  return NameIndex::hash(directories_[dir].parent, directories_[dir].name);
}

DirId WatchTable::child(DirId parent, std::string_view name) const {
  return places_.find(NameIndex::hash(parent, name), [&](DirId dir) {
    return directories_[dir].parent == parent && directories_[dir].name == name;
  });
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
  self.previous_sibling = kNoDir;
  self.next_sibling = directories_[parent].first_child;
  if (self.next_sibling != kNoDir) directories_[self.next_sibling].previous_sibling = dir;
  directories_[parent].first_child = dir;
  places_.insert(hash_of(dir), dir, [this](DirId other) { return hash_of(other); });
}

void WatchTable::detach(DirId dir) {
  unlink(dir);
  directories_[dir].detached = true;
}

void WatchTable::unlink(DirId dir) {
  Directory& self = directories_[dir];
  if (self.parent == kNoDir) return;
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
  const std::uint32_t generation = directories_[dir].generation + 1;
  directories_[dir] = Directory{};
  directories_[dir].generation = generation;
  free_.push_back(dir);
  --count_;
}

bool WatchTable::is_below(DirId dir, DirId ancestor) const {
  for (; dir != kNoDir; dir = directories_[dir].parent) {
    if (dir == ancestor) return true;
  }
  return false;
}

bool WatchTable::path(DirId dir, std::string& out) const {
  out.clear();
  std::size_t length = 0;
  for (DirId at = dir; at != kRootDir; at = directories_[at].parent) {
    if (at == kNoDir || directories_[at].detached) return false;
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
