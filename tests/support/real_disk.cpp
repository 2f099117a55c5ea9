#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "support/disk.hpp"

namespace inotifier::testing {
namespace {

int answer(int result) { return result < 0 ? -errno : result; }

}  // namespace

RealDisk::~RealDisk() {
  for (const Open& open : open_) {
    if (open.mapping != nullptr) ::munmap(open.mapping, open.mapped);
  }
}

RealDisk::Open* RealDisk::find(int handle) {
  const auto at = static_cast<std::size_t>(handle);
  return handle >= 0 && at < open_.size() ? &open_[at] : nullptr;
}

int RealDisk::make_directory(const std::string& path) {
  return answer(::mkdir(path.c_str(), 0755));
}

int RealDisk::remove_directory(const std::string& path) { return answer(::rmdir(path.c_str())); }

int RealDisk::open_file(const std::string& path, const OpenMode& mode) {
  int flags = O_CLOEXEC | (mode.write ? O_RDWR : O_RDONLY);
  if (mode.create) flags |= O_CREAT;
  if (mode.exclusive) flags |= O_EXCL;
  if (mode.truncate) flags |= O_TRUNC;
  if (mode.append) flags |= O_APPEND;
  if (mode.tmpfile) flags |= O_TMPFILE;
  UniqueFd fd(::open(path.c_str(), flags, 0644));
  if (!fd) return -errno;
  open_.emplace_back().fd = std::move(fd);
  return static_cast<int>(open_.size() - 1);
}

int RealDisk::put(int handle, std::int64_t bytes) {
  Open* open = find(handle);
  if (open == nullptr) return -EBADF;
  const std::string chunk(static_cast<std::size_t>(std::min<std::int64_t>(bytes, 1 << 16)), 'x');
  while (bytes > 0) {
    const auto now = static_cast<std::size_t>(
        std::min<std::int64_t>(bytes, static_cast<std::int64_t>(chunk.size())));
    const ssize_t written = ::write(open->fd.get(), chunk.data(), now);
    if (written < 0) return -errno;
    bytes -= written;
  }
  return 0;
}

int RealDisk::resize(int handle, std::int64_t size) {
  Open* open = find(handle);
  return open == nullptr ? -EBADF : answer(::ftruncate(open->fd.get(), size));
}

int RealDisk::touch(int handle) {
  Open* open = find(handle);
  return open == nullptr ? -EBADF : answer(::futimens(open->fd.get(), nullptr));
}

int RealDisk::read(int handle) {
  Open* open = find(handle);
  char byte = 0;
  return open == nullptr ? -EBADF : answer(static_cast<int>(::pread(open->fd.get(), &byte, 1, 0)));
}

int RealDisk::close_file(int handle) {
  Open* open = find(handle);
  if (open == nullptr || !open->fd) return -EBADF;
  return answer(::close(open->fd.release()));
}

int RealDisk::map(int handle) {
  Open* open = find(handle);
  if (open == nullptr || open->mapping != nullptr) return -EBADF;
  struct stat stat {};
  if (::fstat(open->fd.get(), &stat) != 0) return -errno;
  open->mapped = static_cast<std::size_t>(stat.st_size);
  void* mapping =
      ::mmap(nullptr, open->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, open->fd.get(), 0);
  if (mapping == MAP_FAILED) return -errno;
  open->mapping = mapping;
  static_cast<char*>(mapping)[0] = 'm';
  return 0;
}

int RealDisk::unmap(int handle) {
  Open* open = find(handle);
  if (open == nullptr || open->mapping == nullptr) return -EBADF;
  const int result = ::munmap(open->mapping, open->mapped);
  open->mapping = nullptr;
  return answer(result);
}

int RealDisk::rename(const std::string& from, const std::string& to, bool exchange) {
  return answer(
      ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), exchange ? RENAME_EXCHANGE : 0U));
}

int RealDisk::link(const std::string& from, const std::string& to) {
  return answer(::link(from.c_str(), to.c_str()));
}

int RealDisk::link_handle(int handle, const std::string& to) {
  Open* open = find(handle);
  if (open == nullptr) return -EBADF;
  const std::string from = "/proc/self/fd/" + std::to_string(open->fd.get());
  return answer(::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW));
}

int RealDisk::unlink(const std::string& path) { return answer(::unlink(path.c_str())); }

int RealDisk::truncate(const std::string& path, std::int64_t size) {
  return answer(::truncate(path.c_str(), size));
}

int RealDisk::set_times(const std::string& path, std::int64_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  return answer(::utimensat(AT_FDCWD, path.c_str(), times, 0));
}

int RealDisk::copy_times(const std::string& from, const std::string& to) {
  struct stat stat {};
  if (::lstat(from.c_str(), &stat) != 0) return -errno;
  const timespec times[2] = {stat.st_atim, stat.st_mtim};
  return answer(::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int RealDisk::change_mode(const std::string& path, std::uint32_t mode) {
  return answer(::chmod(path.c_str(), mode));
}

int RealDisk::change_owner(const std::string& path) {
  return answer(::chown(path.c_str(), ::geteuid(), static_cast<gid_t>(-1)));
}

int RealDisk::set_attribute(const std::string& path) {
  // tmpfs has user attributes since Linux 6.6.
  const int result = answer(::setxattr(path.c_str(), "user.inotifier", "1", 1, 0));
  return result == -EOPNOTSUPP ? 0 : result;
}

int RealDisk::make_symlink(const std::string& target, const std::string& path) {
  return answer(::symlink(target.c_str(), path.c_str()));
}

int RealDisk::make_node(const std::string& path) {
  return answer(::mknod(path.c_str(), S_IFREG | 0644, 0));
}

int RealDisk::make_fifo(const std::string& path) { return answer(::mkfifo(path.c_str(), 0644)); }

}  // namespace inotifier::testing
