// What is known of a file from a look at it. Plain values; any thread.
#pragma once

#include <cstdint>

#include "inotifier/time.hpp"

namespace inotifier {

/// What lstat(2) said. Times in nanoseconds since 1970.
struct Stat {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  Nanos mtime = 0;  ///< outside of the years 1677 to 2262, as all times, the nearest that fits
  Nanos ctime = 0;
  Nanos atime = 0;
  Nanos btime = 0;  ///< 0 where the file system keeps none
  /// mtime where it does not fit: seconds since 1970, and nanoseconds; else 0.
  std::int64_t far_seconds = 0;
  std::uint32_t far_fraction = 0;
  std::uint32_t links = 0;
  std::uint64_t dev = 0;
  /// Number of the mount that it was seen through; never used again where the kernel has such
  /// numbers (Linux 6.8). Without any it is `dev`.
  std::uint64_t mount = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  /// Its file system counts in whole seconds, as far as can be seen: two writes within one look
  /// alike.
  bool is_coarse() const { return ctime % kSecond == 0; }
  bool mount_root = false;  ///< a file system is mounted here (directories only)
};

}  // namespace inotifier
