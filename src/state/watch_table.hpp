// The tree of directories of one watch, and which wd belongs to which of them. Pure: it knows no
// kernel. Owned by a Watcher; pipeline thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "inotifier/processor.hpp"
#include "state/name_index.hpp"

namespace inotifier {

/// A directory's number together with its generation: a number may be given anew.
struct DirRef {
  DirId dir = kNoDir;
  std::uint32_t generation = 0;
};

class WatchTable {
 public:
  struct Directory {
    std::string name;
    std::uint64_t inode = 0;
    std::uint64_t dev = 0;
    std::uint64_t mount = 0;  ///< as Stat::mount
    Nanos btime = 0;
    DirId parent = kNoDir;  ///< kNoDir: the root, or detached
    DirId first_child = kNoDir;
    DirId next_sibling = kNoDir;
    DirId previous_sibling = kNoDir;
    int wd = -1;
    std::uint32_t armed = 0;       ///< number of the rescan that last armed it
    std::uint32_t listed = 0;      ///< number of the rescan that last listed its files
    std::uint32_t seen = 0;        ///< number of the listing of its parent that last showed it
    std::uint32_t generation = 0;  ///< rises each time the number is given back
    bool alive = false;
    bool detached = false;  ///< on its way to another place: seen to leave, not yet seen to arrive
    bool mounted = false;   ///< a volume is, or was last, mounted there
    bool changed = false;   ///< see each_change()
  };

  WatchTable();

  /// A directory as the journal keeps it.
  struct Saved {
    DirId dir = kNoDir;
    DirId parent = kNoDir;
    std::string name;
    std::uint64_t inode = 0;
    Nanos btime = 0;
    bool mounted = false;
  };
  /// Of an empty table.
  void restore(const std::vector<Saved>& saved);

  /// From now on changes of place and identity are remembered.
  void keep_changes() { keeps_changes_ = true; }
  /// What has changed since forget_changes(); null: it is no more.
  template <typename Each>
  void each_change(Each each) const {
    for (const DirId dir : changed_)
      each(dir, directories_[dir].alive ? &directories_[dir] : nullptr);
  }
  void forget_changes();
  bool has_changes() const { return !changed_.empty(); }
  void set_identity(DirId dir, const Stat& stat);

  /// Where a volume was mounted or unmounted, what is known of the directory that was there is set
  /// aside: it has no path, until the same directory is seen at that place again.
  void set_aside(DirId dir);
  /// One that was set aside at this place; kNoDir if none is it.
  template <typename Is>
  DirId find_aside(DirId parent, std::string_view name, Is is) const {
    if (asides_ == 0) return kNoDir;
    for (DirId dir = directories_[parent].first_child; dir != kNoDir;
         dir = directories_[dir].next_sibling) {
      if (is_aside_name(directories_[dir].name, name) && is(directories_[dir])) return dir;
    }
    return kNoDir;
  }
  /// It, or a directory above it.
  bool is_aside(DirId dir) const;
  /// All of these, those below them included.
  std::vector<DirId> asides() const;

  DirId child(DirId parent, std::string_view name) const;
  /// By path relative to the root; kNoDir if unknown.
  DirId find(std::string_view path) const;
  DirId add(DirId parent, std::string_view name);
  /// Gives it a place (again); what had that place must have been detached or removed before.
  void attach(DirId dir, DirId parent, std::string_view name);
  void detach(DirId dir);
  /// Frees this one directory's number; it must have no children any more.
  void remove(DirId dir);

  DirRef ref(DirId dir) const { return {dir, directories_[dir].generation}; }
  /// Whether the directory that this named is still there.
  bool is(const DirRef& ref) const {
    return is_alive(ref.dir) && directories_[ref.dir].generation == ref.generation;
  }
  bool is_alive(DirId dir) const { return dir < limit() && directories_[dir].alive; }
  /// The directory and all below it, the deepest last.
  std::vector<DirId> subtree(DirId top) const;

  Directory& at(DirId dir) { return directories_[dir]; }
  const Directory& at(DirId dir) const { return directories_[dir]; }
  /// Numbers run below this; not all are alive.
  DirId limit() const { return static_cast<DirId>(directories_.size()); }
  std::size_t count() const { return count_; }
  bool is_below(DirId dir, DirId ancestor) const;

  /// Path relative to the root ("" for the root). False if it or one above it is detached.
  bool path(DirId dir, std::string& out) const;

  /// A wd has one holder: another directory that had it has none any more.
  void bind(DirId dir, int wd);
  void unbind(DirId dir);
  /// kNoDir if unknown.
  DirId by_wd(int wd) const;
  /// A removed wd's records may still be in the queue, until its IN_IGNORED.
  void retire(int wd) { retired_.insert(wd); }
  bool is_retired(int wd) const { return retired_.contains(wd); }
  void ignored(int wd) { retired_.erase(wd); }
  /// All of these; then there are none.
  std::unordered_set<int> take_retired() { return std::exchange(retired_, {}); }
  std::size_t watched() const { return by_wd_.size(); }

  /// The name of what was set aside is "/", a number, "/", and the name of the place: no directory
  /// has such a one.
  static bool is_aside_name(std::string_view name) { return name.starts_with('/'); }
  static std::string_view place_of_aside(std::string_view name) {
    return name.substr(name.find('/', 1) + 1);
  }

 private:
  static bool is_aside_name(std::string_view name, std::string_view place) {
    return is_aside_name(name) && place_of_aside(name) == place;
  }
  std::uint64_t hash_of(DirId dir) const;
  void unlink(DirId dir);
  void note_change(DirId dir);

  std::vector<Directory> directories_;
  std::vector<DirId> changed_;
  bool keeps_changes_ = false;
  std::vector<DirId> free_;
  NameIndex places_;
  std::unordered_map<int, DirId> by_wd_;
  std::unordered_set<int> retired_;
  std::size_t count_ = 0;
  std::size_t asides_ = 0;  ///< without those below them
};

}  // namespace inotifier
