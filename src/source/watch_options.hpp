// What a Watcher and its parts are to do. Plain values; pipeline thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "inotifier/processor.hpp"
#include "source/remote_tree.hpp"
#include "source/shared_instance.hpp"

namespace inotifier {

struct WatchOptions {
  std::string root;  ///< absolute
  bool recursive = true;
  std::uint32_t mask = 0;  ///< what processor and raw events need; the watcher adds its own
  bool raw = false;        ///< every record is wanted, also of files that have no name any more
  Nanos poll_interval = 0;
  bool require_lease = false;
  bool known = false;  ///< the tree was watched in an earlier life: most files are known
  /// Whether a directory (relative path) can hold anything of interest.
  std::function<bool(std::string_view)> enters;
  /// Starts a poller of the remote volume at a directory (relative path), and stops it; null: such
  /// volumes are left out.
  std::function<RemoteTree::Asks(DirId, const std::string&)> start_poller;
  std::function<void(DirId)> stop_poller;
  /// An inotify instance that no other watch has, whose stream of records begins at `position`;
  /// null, with the errno in `error`, if there is none left.
  std::function<SharedInstance*(std::uint64_t position, int& error)> other_instance;
};

}  // namespace inotifier
