#include "fs/real_fs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

/// With no symbolic link in any component; where openat2(2) is missing only the last one is safe.
int open_beneath(int handle, const char* path, int flags, std::uint64_t resolve = 0) {
  return open_resolving(handle, path, flags, RESOLVE_NO_SYMLINKS | resolve);
}

/// A directory below a handle (O_PATH). With `mounts` nothing remote is entered: -EREMOTE.
int open_directory_beneath(Mounts* mounts, int handle, const std::string& path, int more = 0) {
  const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC | more;
  if (mounts == nullptr) return open_beneath(handle, path.c_str(), flags);
  const int fd = open_beneath(handle, path.c_str(), flags, RESOLVE_NO_XDEV);
  return fd == -EXDEV ? open_local_beneath(*mounts, handle, path) : fd;
}

/// A path below a handle, as a directory and a name in it: so the kernel follows no symbolic link
/// on the way, and what is beyond PATH_MAX is walked in pieces.
class Place {
 public:
  Place(int handle, const std::string& relative, Mounts* mounts)
      : handle_(handle), path_(relative.c_str()) {
    const std::size_t name = relative.rfind('/');
    if (name == std::string::npos) return;
    path_ = relative.c_str() + name + 1;
    for (std::size_t begin = 0; begin < name;) {
      std::size_t end = name;
      if (end - begin >= PATH_MAX) end = relative.rfind('/', begin + PATH_MAX - 1);
      if (end == std::string::npos || end <= begin) {
        error_ = ENAMETOOLONG;
        return;
      }
      const std::string piece = relative.substr(begin, end - begin);
      const int fd = open_directory_beneath(mounts, handle_, piece);
      if (fd < 0) {
        error_ = -fd;
        return;
      }
      opened_ = UniqueFd(fd);
      handle_ = fd;
      begin = end + 1;
    }
  }
  int handle() const { return handle_; }
  const char* path() const { return path_; }
  int error() const { return error_; }

 private:
  int handle_;
  const char* path_;
  UniqueFd opened_;
  int error_ = 0;
};

/// Where it does not fit, the nearest that does.
Nanos nanos(const statx_timestamp& at) {
  Nanos time = 0;
  if (__builtin_mul_overflow(at.tv_sec, kSecond, &time)) {
    return at.tv_sec > 0 ? INT64_MAX : INT64_MIN;
  }
  return saturated_sum(time, at.tv_nsec);
}

bool is_far(Nanos time) { return time == INT64_MAX || time == INT64_MIN; }

// STATX_MNT_ID_UNIQUE of Linux 6.8: a mount's number that is not used again.
constexpr unsigned kMountIdUnique = 0x4000;

int stat_at(int handle, const char* path, int flags, Stat& out) {
  struct statx found;
  if (statx(handle, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | flags,
            STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | kMountIdUnique, &found) != 0) {
    return -errno;
  }
  out.inode = found.stx_ino;
  out.size = static_cast<std::int64_t>(found.stx_size);
  out.mtime = nanos(found.stx_mtime);
  out.far_seconds = is_far(out.mtime) ? found.stx_mtime.tv_sec : 0;
  out.far_fraction = is_far(out.mtime) ? found.stx_mtime.tv_nsec : 0;
  out.links = found.stx_nlink;
  out.ctime = nanos(found.stx_ctime);
  out.atime = nanos(found.stx_atime);
  out.btime = (found.stx_mask & STATX_BTIME) != 0 ? nanos(found.stx_btime) : 0;
  out.dev = (static_cast<std::uint64_t>(found.stx_dev_major) << 32U) | found.stx_dev_minor;
  out.mount = found.stx_mnt_id != 0 ? found.stx_mnt_id : out.dev;
  out.mode = found.stx_mode;
  out.uid = found.stx_uid;
  out.gid = found.stx_gid;
  out.mount_root = (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return 0;
}

class RealListing final : public Listing {
 public:
  explicit RealListing(UniqueFd fd) : fd_(std::move(fd)) {}

  int next(Entry& entry) override {
    while (true) {
      if (at_ >= end_) {
        const long got = syscall(SYS_getdents64, fd_.get(), buffer_.data(), buffer_.size());
        if (got < 0) return -errno;
        if (got == 0) return 0;
        at_ = 0;
        end_ = static_cast<std::size_t>(got);
      }
      // struct linux_dirent64 (getdents64(2)), which is glibc's dirent64.
      const auto* raw = reinterpret_cast<const dirent64*>(buffer_.data() + at_);
      at_ += raw->d_reclen;
      entry.name = raw->d_name;
      if (entry.name == "." || entry.name == "..") continue;
      entry.kind = raw->d_type == DT_REG       ? Entry::Kind::kFile
                   : raw->d_type == DT_DIR     ? Entry::Kind::kDirectory
                   : raw->d_type == DT_UNKNOWN ? Entry::Kind::kUnknown
                                               : Entry::Kind::kOther;
      return 1;
    }
  }

 private:
  UniqueFd fd_;
  alignas(dirent64) std::array<char, 32 * 1024> buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

/// Whether what has this device number lies on a block device.
bool on_block_device(int handle) {
  Stat stat;
  return stat_at(handle, "", AT_EMPTY_PATH, stat) == 0 && (stat.dev >> 32U) != 0;
}

}  // namespace

RealFs::RealFs(Reach reach) : reach_(reach) {
  static const auto before = std::signal(SIGIO, SIG_IGN);
  static_cast<void>(before);
}

int RealFs::open_root(const std::string& path) {
  const int fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

int RealFs::open_directory(int handle, const std::string& relative) {
  const Place place(handle, relative, local_mounts());
  if (place.error() != 0) return -place.error();
  return open_directory_beneath(local_mounts(), place.handle(),
                                *place.path() == '\0' ? "." : place.path(), O_NOFOLLOW);
}

void RealFs::close(int handle) { ::close(handle); }

int RealFs::stat(int handle, const std::string& relative, Stat& out) {
  const Place place(handle, relative, local_mounts());
  if (place.error() != 0) return -place.error();
  const int flags = (*place.path() == '\0' ? AT_EMPTY_PATH : 0) |
                    (reach_ == Reach::kRemote ? AT_STATX_FORCE_SYNC : AT_STATX_DONT_SYNC);
  return stat_at(place.handle(), place.path(), flags, out);
}

std::unique_ptr<Listing> RealFs::list(int handle, int& error) {
  UniqueFd fd(openat(handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    error = errno;
    return nullptr;
  }
  return std::make_unique<RealListing>(std::move(fd));
}

Files::Writer RealFs::writer(int handle, const std::string& relative, Stat& out, int& error) {
  using Writer = Files::Writer;
  error = 0;
  const Place place(handle, relative, local_mounts());
  if (place.error() != 0) {
    if (place.error() == ELOOP) return Writer::kNotRegular;
    return is_absence(place.error()) ? Writer::kGone : Writer::kChanged;
  }
  // Opening a FIFO or a device can have effects of its own: look before.
  const int looked = stat_at(place.handle(), place.path(), 0, out);
  if (looked != 0) return is_absence(-looked) ? Writer::kGone : Writer::kChanged;
  if (!S_ISREG(out.mode)) return Writer::kNotRegular;
  const UniqueFd fd(
      open_beneath(place.handle(), place.path(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    error = -fd.get();
    if (is_absence(error)) return Writer::kGone;
    if (error == EWOULDBLOCK) return Writer::kOpen;  // somebody else's lease is being broken
    if (error == ENXIO) return Writer::kNotRegular;
    // Out of descriptors or memory: no answer yet.
    const bool refused = error == EACCES || error == EPERM;
    return refused ? Writer::kUnknown : Writer::kChanged;
  }
  if (fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) {
    error = errno;
    if (error == EAGAIN) return Writer::kOpen;
    return error == ENOMEM || error == ENOLCK ? Writer::kChanged : Writer::kUnknown;
  }
  // From here to the unlock nobody can begin to write. Whether the path still leads to this file is
  // asked under the lease too.
  Stat by_path;
  const bool known = stat_at(fd.get(), "", AT_EMPTY_PATH, out) == 0;
  const int failed = stat_at(place.handle(), place.path(), 0, by_path);
  fcntl(fd.get(), F_SETLEASE, F_UNLCK);
  if (!known) return Writer::kChanged;
  if (failed != 0) return is_absence(-failed) ? Writer::kGone : Writer::kChanged;
  if (by_path.inode != out.inode || by_path.dev != out.dev) return Writer::kChanged;
  return S_ISREG(out.mode) ? Writer::kNone : Writer::kNotRegular;
}

FsTraits RealFs::traits(int handle) {
  if (const Mount* mount = mounts_.of(handle)) return traits_of(*mount);
  FsTraits traits;
  struct statfs found;
  if (fstatfs(handle, &found) != 0) {
    traits.type = "?";
    traits.leases = false;
    return traits;
  }
  return traits_of_magic(static_cast<std::uint32_t>(found.f_type), on_block_device(handle));
}

Nanos RealFs::stamp_clock() {
  timespec at{};
  clock_gettime(CLOCK_REALTIME_COARSE, &at);
  return at.tv_sec * kSecond + at.tv_nsec;
}

Nanos RealFs::wall_clock() { return read_clocks().wall; }

std::optional<std::string> RealFs::mounts_below(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (!real) return std::nullopt;
  const std::vector<Mount>& mounts = mounts_.all();
  if (mounts.empty()) return std::nullopt;  // out of descriptors: there always is one
  std::string below(real.get());
  if (below != "/") below += '/';
  std::vector<std::string> lines;
  for (const Mount& mount : mounts) {
    if (mount.path.size() > below.size() && mount.path.starts_with(below)) {
      lines.push_back(
          fmt::format("{}:{} {}", mount.id, mount.device, mount.path.substr(below.size())));
    }
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

bool is_remote(const std::string& path) {
  Mounts mounts;
  const UniqueFd fd(open_local(mounts, path));
  if (fd.get() == -EREMOTE) return true;
  const Mount* mount = fd ? mounts.of(fd.get()) : nullptr;
  return mount != nullptr && !traits_of(*mount).local;
}

}  // namespace inotifier
