// What listings did not show: rows to be asked for, at once or when the scan that missed them has
// come to its end, for until then a file may turn up elsewhere. Owned by a Completion; pipeline
// thread.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/context.hpp"
#include "state/file_table.hpp"

namespace inotifier {

/// An earlier place of a file.
struct FormerPlace {
  DirId dir = kNoDir;
  std::string name;
  std::string path;
};

class Absences {
 public:
  /// `table` lives as long as this.
  explicit Absences(FileTable& table) : table_(table) {}

  /// A scan in progress did not show that row.
  void add_unseen(DirId dir, std::string name) { unseen_.emplace_back(dir, std::move(name)); }
  /// That scan came to its end. `rebuilt` is that of RawEvent.
  void end_scan(Origin origin, bool rebuilt);
  /// Calls each(dir, name) for some rows of scans that have ended.
  template <typename Each>
  void take_some(std::size_t most, Each each) {
    for (; most > 0 && !missing_.empty(); --most) {
      const auto [dir, name] = std::move(missing_.front());
      missing_.pop_front();
      each(dir, name);
    }
  }
  std::size_t size() const { return missing_.size(); }
  Origin origin() const { return origin_; }  ///< of the scan that missed them

  /// Where a file that a scan in progress met had been known before, if it has left that place: the
  /// same file only if inode, creation, size and mtime agree (a deleted file's inode is given to
  /// the next one).
  std::optional<FormerPlace> former_place(const Stat& stat, Context& context);

 private:
  FileTable& table_;
  std::vector<std::pair<DirId, std::string>> unseen_;
  std::deque<std::pair<DirId, std::string>> missing_;
  Origin origin_ = Origin::kStartup;
  std::optional<RowsByInode> by_inode_;  ///< made when the first unknown file is met
};

/// Whether the disk says that a file is no more, or no regular one.
bool is_gone(DirId dir, std::string_view name, Context& context);

}  // namespace inotifier
