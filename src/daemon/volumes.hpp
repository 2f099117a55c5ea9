// What is mounted below the root of a watch, and what is not there just now: for clients that want
// to know whether a file is gone. Pipeline thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "state/file_table.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

struct VolumeStatus {
  std::string directory;    ///< relative to the root
  bool is_there = false;    ///< else what is known at this place was unmounted, or is mounted over
  std::uint64_t inode = 0;  ///< of the volume's own root; 0 = not known
};

/// Volumes, and places where known files are set aside.
std::vector<VolumeStatus> volumes_of(const WatchTable& table, const FileTable& files);

}  // namespace inotifier
