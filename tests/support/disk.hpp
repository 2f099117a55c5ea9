// What a script can do to files: the writers' side of a file system. FakeFs implements it in
// memory, RealDisk with system calls. Results are 0 (or a handle) or a negative errno.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "inotifier/processor.hpp"

namespace inotifier::testing {

/// How to open a file. Without `write` it is opened for reading.
struct OpenMode {
  bool write = true;
  bool create = false;
  bool exclusive = false;
  bool truncate = false;
  bool append = false;
  bool tmpfile = false;  ///< the path is that of a directory
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual int make_directory(const std::string& path) = 0;
  virtual int remove_directory(const std::string& path) = 0;
  /// A handle >= 0; handles are the disk's own numbers.
  virtual int open_file(const std::string& path, const OpenMode& mode) = 0;
  virtual int put(int handle, std::int64_t bytes) = 0;
  virtual int resize(int handle, std::int64_t size) = 0;
  /// futimens(2) with the present time.
  virtual int touch(int handle) = 0;
  /// read(2) of the first byte.
  virtual int read(int handle) = 0;
  virtual int close_file(int handle) = 0;
  /// A shared writable mapping of the whole file, with one store into it; it outlives the handle.
  virtual int map(int handle) = 0;
  virtual int unmap(int handle) = 0;
  virtual int rename(const std::string& from, const std::string& to, bool exchange) = 0;
  virtual int link(const std::string& from, const std::string& to) = 0;
  virtual int link_handle(int handle, const std::string& to) = 0;
  virtual int unlink(const std::string& path) = 0;
  virtual int truncate(const std::string& path, std::int64_t size) = 0;
  /// Both times, to the second.
  virtual int set_times(const std::string& path, std::int64_t seconds) = 0;
  /// Both times as those of another file, as `touch -r` and `cp -p` do.
  virtual int copy_times(const std::string& from, const std::string& to) = 0;
  virtual int change_mode(const std::string& path, std::uint32_t mode) = 0;
  /// chown(2) to the uid of this process.
  virtual int change_owner(const std::string& path) = 0;
  virtual int set_attribute(const std::string& path) = 0;
  virtual int make_symlink(const std::string& target, const std::string& path) = 0;
  virtual int make_fifo(const std::string& path) = 0;
  /// mknod(2): an empty regular file that nobody has open.
  virtual int make_node(const std::string& path) = 0;
};

/// Paths are taken as they are; handles are descriptors.
class RealDisk final : public Disk {
 public:
  int make_directory(const std::string& path) override;
  int remove_directory(const std::string& path) override;
  int open_file(const std::string& path, const OpenMode& mode) override;
  int put(int handle, std::int64_t bytes) override;
  int resize(int handle, std::int64_t size) override;
  int touch(int handle) override;
  int read(int handle) override;
  int close_file(int handle) override;
  int map(int handle) override;
  int unmap(int handle) override;
  int rename(const std::string& from, const std::string& to, bool exchange) override;
  int link(const std::string& from, const std::string& to) override;
  int link_handle(int handle, const std::string& to) override;
  int unlink(const std::string& path) override;
  int truncate(const std::string& path, std::int64_t size) override;
  int set_times(const std::string& path, std::int64_t seconds) override;
  int copy_times(const std::string& from, const std::string& to) override;
  int change_mode(const std::string& path, std::uint32_t mode) override;
  int change_owner(const std::string& path) override;
  int set_attribute(const std::string& path) override;
  int make_symlink(const std::string& target, const std::string& path) override;
  int make_fifo(const std::string& path) override;
  int make_node(const std::string& path) override;
  ~RealDisk() override;

 private:
  struct Open {
    UniqueFd fd;
    void* mapping = nullptr;
    std::size_t mapped = 0;
  };
  Open* find(int handle);
  std::vector<Open> open_;
};

}  // namespace inotifier::testing
