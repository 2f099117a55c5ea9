#include "fs/mounts.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/path.hpp"

namespace inotifier {
namespace {

struct FsType {
  std::string_view name;
  std::uint64_t magic;  ///< statfs(2)
  bool local;
  bool leases;
  bool keeps_inodes;
  bool multigrain;  ///< FS_MGTIME since Linux 6.13
};

// What is not listed is local if it lies on a block device. Leases are believed only where they
// were seen to tell the truth: NFS and CIFS refuse them without a writer, FUSE grants them with
// one.
constexpr std::array kTypes{
    FsType{"ext4", 0xEF53, true, true, true, true},
    FsType{"ext3", 0xEF53, true, true, true, true},
    FsType{"ext2", 0xEF53, true, true, true, false},
    FsType{"xfs", 0x58465342, true, true, true, true},
    FsType{"btrfs", 0x9123683E, true, true, true, true},
    FsType{"tmpfs", 0x01021994, true, true, true, true},
    FsType{"f2fs", 0xF2F52010, true, true, true, false},
    FsType{"zfs", 0x2FC12FC1, true, true, true, false},
    FsType{"overlay", 0x794C7630, true, true, true, false},
    FsType{"ramfs", 0x858458F6, true, false, true, false},
    FsType{"rootfs", 0x858458F6, true, false, true, false},
    FsType{"vfat", 0x4D44, true, false, false, false},
    FsType{"exfat", 0x2011BAB0, true, false, false, false},
    FsType{"bcachefs", 0xCA451A4E, true, false, true, false},
    FsType{"ubifs", 0x24051905, true, false, true, false},
    FsType{"jffs2", 0x72B6, true, false, true, false},
    FsType{"ecryptfs", 0xF15F, true, false, true, false},
    FsType{"aufs", 0x61756673, true, false, true, false},
    FsType{"hugetlbfs", 0x958458F6, true, false, true, false},
    FsType{"proc", 0x9FA0, true, false, true, false},
    FsType{"sysfs", 0x62656572, true, false, true, false},
    FsType{"devtmpfs", 0x01021994, true, false, true, false},
    FsType{"nfs", 0x6969, false, false, true, false},
    FsType{"nfs4", 0x6969, false, false, true, false},
    FsType{"cifs", 0xFF534D42, false, false, false, false},
    FsType{"smb3", 0xFE534D42, false, false, false, false},
    FsType{"smbfs", 0x517B, false, false, false, false},
    FsType{"fuse", 0x65735546, false, false, false, false},
    FsType{"fuseblk", 0x65735546, false, false, false, false},
    FsType{"9p", 0x01021997, false, false, true, false},
    FsType{"ceph", 0x00C36400, false, false, true, false},
    FsType{"afs", 0x5346414F, false, false, true, false},
    FsType{"gpfs", 0x47504653, false, false, true, false},
    FsType{"lustre", 0x0BD00BD0, false, false, true, false},
    FsType{"gfs2", 0x01161970, false, false, true, false},
    FsType{"ocfs2", 0x7461636F, false, false, true, false},
};

bool kernel_at_least(int major, int minor) {
  utsname name{};
  int at_major = 0;
  int at_minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &at_major, &at_minor) != 2) {
    return false;
  }
  return at_major > major || (at_major == major && at_minor >= minor);
}

template <typename Is>
FsTraits find_traits(Is is, std::string name, bool has_device) {
  static const bool multigrain_kernel = kernel_at_least(6, 13);
  FsTraits traits;
  const auto* const type = std::find_if(kTypes.begin(), kTypes.end(), is);
  if (type == kTypes.end()) {
    traits.type = std::move(name);
    traits.local = has_device;
    traits.leases = false;
    return traits;
  }
  traits.type = type->name;
  traits.local = type->local;
  traits.leases = type->leases;
  traits.keeps_inodes = type->keeps_inodes;
  traits.fine_times = type->multigrain && multigrain_kernel;
  return traits;
}

/// "\040" in mountinfo is a space (proc_pid_mountinfo(5)).
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<Mount> parse(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string root;
    Mount mount;
    fields >> mount.id >> mount.parent >> mount.device >> root >> mount.path;
    mount.path = unescape(mount.path);
    const auto dash = line.find(" - ");
    if (dash != std::string::npos) std::istringstream(line.substr(dash + 3)) >> mount.type;
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::uint64_t mount_id(int handle) {
  struct statx found;
  if (statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &found) != 0 ||
      (found.stx_mask & STATX_MNT_ID) == 0) {
    return 0;
  }
  return found.stx_mnt_id;
}

/// `name` in the directory `at`, where something is mounted.
int enter_mount(Mounts& mounts, int at, const std::string& name) {
  std::array<char, PATH_MAX> place{};
  const std::string link = "/proc/self/fd/" + std::to_string(at);
  const ssize_t length = readlink(link.c_str(), place.data(), place.size());
  const Mount* mount = nullptr;
  if (length > 0 && name != "..") {
    const std::string directory(place.data(), static_cast<std::size_t>(length));
    mount = mounts.at(mount_id(at), join(directory, name));
  }
  if (mount != nullptr && !traits_of(*mount).local) return -EREMOTE;
  const int fd = openat(at, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

int open_next(Mounts& mounts, int at, const std::string& name) {
  const int fd = open_resolving(at, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC, RESOLVE_NO_XDEV);
  return fd == -EXDEV ? enter_mount(mounts, at, name) : fd;
}

/// The target of an open symbolic link; false if it is none.
bool read_link(int handle, std::string& target) {
  std::array<char, PATH_MAX> text{};
  const ssize_t length = readlinkat(handle, "", text.data(), text.size());
  if (length < 0) return false;
  target.assign(text.data(), static_cast<std::size_t>(length));
  return true;
}

bool is_on_proc(Mounts& mounts, int handle) {
  const Mount* mount = mounts.of(handle);
  return mount != nullptr && mount->type == "proc";
}

std::string take_component(std::string& path) {
  const auto begin = path.find_first_not_of('/');
  if (begin == std::string::npos) {
    path.clear();
    return {};
  }
  const auto end = std::min(path.find('/', begin), path.size());
  std::string name = path.substr(begin, end - begin);
  path.erase(0, end);
  return name;
}

UniqueFd open_top() { return UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)); }
UniqueFd open_here(int handle) {
  return UniqueFd(openat(handle, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int is_directory(UniqueFd fd) {
  struct statx found;
  if (statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &found) != 0) {
    return -errno;
  }
  return S_ISDIR(found.stx_mode) ? fd.release() : -ENOTDIR;
}

/// Component by component, from `at`. Nothing remote is entered; a symbolic link is followed, or is
/// -ELOOP.
int walk(Mounts& mounts, UniqueFd at, const std::string& path, bool follows_links) {
  constexpr int kMostLinks = 40;  // as path_resolution(7)
  if (!at) return -errno;
  std::string rest = path;
  std::string target;
  int links = 0;
  for (std::string name = take_component(rest); !name.empty(); name = take_component(rest)) {
    UniqueFd next(open_next(mounts, at.get(), name));
    if (next.get() < 0) return next.release();
    if (!read_link(next.get(), target)) {
      at = std::move(next);
      continue;
    }
    if (!follows_links || ++links > kMostLinks) return -ELOOP;
    if (is_on_proc(mounts, next.get())) {
      // Its text need not lead where the link does (proc_pid_root(5)).
      at = UniqueFd(openat(at.get(), name.c_str(), O_PATH | O_CLOEXEC));
      if (!at) return -errno;
      continue;
    }
    if (target.starts_with('/')) at = open_top();
    if (!at) return -errno;
    rest = target + rest;
  }
  return is_directory(std::move(at));
}

}  // namespace

const std::vector<Mount>& Mounts::all() {
  bool changed = false;
  if (!file_) {
    file_ = UniqueFd(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    if (!file_) return mounts_;
    changed = true;
  } else {
    pollfd polled{file_.get(), POLLPRI, 0};  // proc_pid_mounts(5)
    changed = poll(&polled, 1, 0) != 0;
  }
  if (!changed) return mounts_;
  std::string text;
  std::array<char, 16 * 1024> buffer{};
  ssize_t got = lseek(file_.get(), 0, SEEK_SET);
  while (got >= 0 && (got = read(file_.get(), buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (got < 0) {
    file_ = UniqueFd();  // to be read again
  } else {
    mounts_ = parse(text);
  }
  return mounts_;
}

const Mount* Mounts::of(int handle) {
  const std::uint64_t id = mount_id(handle);
  const auto& mounts = all();
  const auto found = std::find_if(mounts.begin(), mounts.end(),
                                  [id](const Mount& mount) { return mount.id == id; });
  return id == 0 || found == mounts.end() ? nullptr : &*found;
}

const Mount* Mounts::at(std::uint64_t parent, const std::string& path) {
  const auto& mounts = all();
  const Mount* top = nullptr;
  for (bool more = true; more;) {
    more = false;
    for (const Mount& mount : mounts) {
      if (mount.parent != parent || mount.path != path) continue;
      top = &mount;
      parent = mount.id;
      more = true;
      break;
    }
  }
  return top;
}

FsTraits traits_of_type(const std::string& type, bool has_device) {
  const std::string_view name = type.starts_with("fuse.") ? std::string_view("fuse") : type;
  return find_traits([name](const FsType& known) { return known.name == name; }, type, has_device);
}

FsTraits traits_of_magic(std::uint64_t magic, bool has_device) {
  return find_traits([magic](const FsType& known) { return known.magic == magic; },
                     fmt::format("{:#x}", magic), has_device);
}

FsTraits traits_of(const Mount& mount) {
  return traits_of_type(mount.type, !mount.device.starts_with("0:"));
}

int open_resolving(int handle, const char* path, int flags, std::uint64_t resolve) {
  static std::atomic<bool> has_openat2 = true;  // prober threads ask too
  if (has_openat2) {
    open_how how{};
    how.flags = static_cast<__u64>(flags);
    how.resolve = resolve;
    const long fd = syscall(SYS_openat2, handle, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != ENOSYS && errno != EPERM) return -errno;
    if (errno == ENOSYS) has_openat2 = false;
  }
  const int fd = openat(handle, path, flags | O_NOFOLLOW);
  return fd >= 0 ? fd : -errno;
}

int open_local(Mounts& mounts, const std::string& path) {
  return walk(mounts, path.starts_with('/') ? open_top() : open_here(AT_FDCWD), path, true);
}

int open_local_beneath(Mounts& mounts, int handle, const std::string& path) {
  return walk(mounts, open_here(handle), path, false);
}

}  // namespace inotifier
