#include "daemon/volumes.hpp"

#include <set>
#include <utility>

#include "base/path.hpp"

namespace inotifier {
namespace {

/// Where what was set aside with `dir` belongs; false if that place is not known.
bool place_of(const WatchTable& table, DirId dir, std::string& out) {
  while (dir != kRootDir && dir != kNoDir && !WatchTable::is_aside_name(table.at(dir).name)) {
    dir = table.at(dir).parent;
  }
  if (dir == kRootDir || dir == kNoDir || !table.path(table.at(dir).parent, out)) return false;
  out = join(out, WatchTable::place_of_aside(table.at(dir).name));
  return true;
}

}  // namespace

std::vector<VolumeStatus> volumes_of(const WatchTable& table, const FileTable& files) {
  std::vector<VolumeStatus> volumes;
  std::set<std::string> missing;
  std::string path;
  for (const DirId dir : table.asides()) {
    if (!table.at(dir).mounted && files.count(dir) == 0) continue;
    if (place_of(table, dir, path) && missing.insert(path).second) {
      volumes.push_back({path, false, 0});
    }
  }
  for (DirId dir = kRootDir + 1; dir < table.limit(); ++dir) {
    const WatchTable::Directory& self = table.at(dir);
    if (!self.alive || !self.mounted || table.is_aside(dir) || !table.path(dir, path)) continue;
    if (!missing.contains(path)) volumes.push_back({path, true, self.inode});
  }
  return volumes;
}

}  // namespace inotifier
