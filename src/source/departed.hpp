// Directories that left their place and may turn up elsewhere: seen to leave, not yet seen to
// arrive. Owned by a Tree; pipeline thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/time.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class Departed {
 public:
  explicit Departed(WatchTable& table) : table_(table) {}

  /// Takes a directory from its place; until `until` it may turn up.
  void add(DirId dir, Nanos until);
  /// The last directory that left this place and is still on its way, taken out; kNoDir if none.
  DirId take(DirId from_dir, std::string_view name);
  /// It is known that what left this place does not arrive.
  void give_up(DirId from_dir, std::string_view name, Nanos now);
  /// One whose time is over, taken out; kNoDir if there is none.
  DirId expire(Nanos now);
  std::optional<Nanos> deadline() const;

  /// It has a place again, or is dropped.
  void forget(DirId dir) { was_at_.erase(dir); }
  /// Where a directory is, or was before it (or a directory above) was seen to leave.
  std::string last_path(DirId dir) const;

 private:
  struct Departure {
    DirRef self;
    DirId from_dir = kNoDir;
    std::string name;
    Nanos until = 0;
  };
  bool is_on_its_way(const DirRef& ref) const {
    return table_.is(ref) && table_.at(ref.dir).detached;
  }

  WatchTable& table_;
  std::vector<Departure> departures_;
  std::map<DirId, std::string> was_at_;  ///< paths of what is detached
};

}  // namespace inotifier
