// The paths and descriptors of known directories, kept for one turn at most: while renames are in
// the queue a path may lead to another directory, or nowhere. Owned by a Tree; pipeline thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fs/fs.hpp"
#include "source/root.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class OpenDirectories {
 public:
  OpenDirectories(const WatchTable& table, Root& root, Fs& fs)
      : table_(table), root_(root), fs_(fs) {}
  ~OpenDirectories() { close(); }
  OpenDirectories(const OpenDirectories&) = delete;
  OpenDirectories& operator=(const OpenDirectories&) = delete;

  /// Relative path of a directory; null while it is on its way. Valid until the next call.
  const std::string* path(DirId dir);
  /// A descriptor of this very directory, valid until the next call; -1 if its path does not lead
  /// to it just now.
  int open(DirId dir);
  void close();
  /// Directories have changed their places.
  void table_changed();

  /// `handle` is open for as long as it is lent, over turns too: what is being listed.
  void lend(DirId dir, int handle) { lent_.emplace_back(dir, handle); }
  void take_back(DirId dir) {
    std::erase_if(lent_, [dir](const auto& one) { return one.first == dir; });
  }

 private:
  const WatchTable& table_;
  Root& root_;
  Fs& fs_;
  DirId cached_ = kNoDir;
  std::string cached_path_;
  DirId opened_ = kNoDir;
  int handle_ = -1;  ///< of opened_
  std::vector<std::pair<DirId, int>> lent_;
};

}  // namespace inotifier
