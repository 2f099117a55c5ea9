// What is mounted where, from /proc/self/mountinfo: it tells of a volume what it is without
// touching it, so that a server that does not answer keeps nobody waiting. Owned by a RealFs; its
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "fs/fs.hpp"

namespace inotifier {

struct Mount {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::string device;  ///< "major:minor"
  std::string path;    ///< where it is mounted
  std::string type;    ///< "ext4", "fuse.sshfs"
};

class Mounts {
 public:
  /// Up to date. Empty without /proc, or when descriptors have run out.
  const std::vector<Mount>& all();
  /// Of an open file or directory; null if that cannot be told.
  const Mount* of(int handle);
  /// What is mounted at `path`, a directory of the mount `parent`: the topmost; null if nothing is.
  const Mount* at(std::uint64_t parent, const std::string& path);

 private:
  UniqueFd file_;
  std::vector<Mount> mounts_;
};

/// What a file system of this type can be trusted with. `has_device`: it lies on a block device,
/// which makes an unknown type a local one.
FsTraits traits_of_type(const std::string& type, bool has_device);
/// The same where there is no /proc: by the magic number of statfs(2).
FsTraits traits_of_magic(std::uint64_t magic, bool has_device);
FsTraits traits_of(const Mount& mount);

/// openat2(2), with O_NOFOLLOW where that is missing: kernels and seccomp filters without it get a
/// plain openat(2). A descriptor or a negative errno.
int open_resolving(int handle, const char* path, int flags, std::uint64_t resolve);

/// Opens (O_PATH) what a path leads to, symbolic links followed; stops before anything that is
/// remote: -EREMOTE.
int open_local(Mounts& mounts, const std::string& path);
/// The same of a path below a handle; a symbolic link on the way is -ELOOP.
int open_local_beneath(Mounts& mounts, int handle, const std::string& path);

}  // namespace inotifier
