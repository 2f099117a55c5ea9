// A file system in memory under a clock that the test sets: a tree of inodes with hard links, open
// handles, leases and inotify, kind enough to be exact and unkind enough to show the kernel's
// races.
//
// Fs is the side the pipeline sees, Disk that of the writers. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fs/fs.hpp"
#include "support/disk.hpp"
#include "support/fake_notifier.hpp"

namespace inotifier::testing {

class FakeFs;
struct FakeDentry;

struct FakeInode {
  enum class Kind { kFile, kDirectory, kSymlink, kFifo };
  struct Mark {
    FakeNotifier* by;
    int wd;
    std::uint32_t mask;
  };
  /// One open file's right to write: from the moment its creator has it to the moment it is
  /// dropped.
  struct Access {
    int file;
    Nanos from;
    Nanos until;
  };
  FakeInode(FakeFs& owner, Kind its_kind) : fs(owner), kind(its_kind) {}
  ~FakeInode();
  FakeInode(const FakeInode&) = delete;
  FakeInode& operator=(const FakeInode&) = delete;

  FakeFs& fs;
  Kind kind;
  std::uint64_t number = 0;
  std::uint64_t dev = 0;
  std::int64_t size = 0;
  Nanos mtime = 0;
  Nanos atime = 0;
  Nanos ctime = 0;
  Nanos btime = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  int links = 0;
  bool looked_at = false;   ///< since the last change: multigrain times
  bool unreadable = false;  ///< EACCES for everybody
  std::map<std::string, std::shared_ptr<FakeDentry>> children;
  std::string target;  ///< of a symbolic link
  std::vector<Access> writers;
  std::vector<Mark> marks;
};

/// A name of an inode. It follows a rename, and stays with those who opened it when it is unlinked.
struct FakeDentry {
  std::shared_ptr<FakeDentry> parent;  ///< kept as long as this one is held
  std::string name;
  std::shared_ptr<FakeInode> inode;
  std::shared_ptr<FakeDentry> mounted;  ///< root of what is mounted here
};

struct FakeOptions {
  FsTraits traits{"ext4", true, true, true, true};
  Nanos tick = 4'000'000;   ///< of the coarse clock
  Nanos close_window = 0;   ///< how long a writer is still seen after its CLOSE_WRITE was queued
  Nanos create_window = 0;  ///< how long a creator is not yet seen after its CREATE was queued
  std::size_t max_watches = SIZE_MAX;
  int changing_probes = 0;  ///< so many calls of writer() answer kChanged
};

class FakeFs final : public Fs, public Disk {
 public:
  explicit FakeFs(const FakeOptions& options = {});
  ~FakeFs() override;
  FakeFs(const FakeFs&) = delete;
  FakeFs& operator=(const FakeFs&) = delete;

  /// Never goes back.
  void set_time(const Now& now) { now_ = now; }
  const FakeOptions& options() const { return options_; }

  // Fs
  int open_root(const std::string& path) override;
  int open_directory(int handle, const std::string& relative) override;
  void close(int handle) override;
  int stat(int handle, const std::string& relative, Stat& out) override;
  std::unique_ptr<Listing> list(int handle, int& error) override;
  Files::Writer writer(int handle, const std::string& relative, Stat& out, int& error) override;
  FsTraits traits(int handle) override;
  Nanos wall_clock() override { return now_.wall; }
  Nanos stamp_clock() override { return now_.wall - now_.wall % options_.tick; }
  std::optional<std::string> mounts_below(const std::string& path) override;

  // Disk; paths are absolute
  int make_directory(const std::string& path) override;
  int remove_directory(const std::string& path) override;
  int open_file(const std::string& path, const OpenMode& mode) override;
  int put(int handle, std::int64_t bytes) override;
  int resize(int handle, std::int64_t size) override;
  int touch(int handle) override;
  int close_file(int handle) override;
  int map(int handle) override;
  int unmap(int handle) override;
  int rename(const std::string& from, const std::string& to, bool exchange) override;
  int link(const std::string& from, const std::string& to) override;
  int link_handle(int handle, const std::string& to) override;
  int unlink(const std::string& path) override;
  int truncate(const std::string& path, std::int64_t size) override;
  int set_times(const std::string& path, std::int64_t seconds) override;
  int change_mode(const std::string& path, std::uint32_t mode) override;
  int change_owner(const std::string& path) override;
  int set_attribute(const std::string& path) override;
  int make_symlink(const std::string& target, const std::string& path) override;
  int make_fifo(const std::string& path) override;
  int make_node(const std::string& path) override;

  // What only a fake can do
  int mount(const std::string& path);
  int unmount(const std::string& path);
  int set_unreadable(const std::string& path, bool unreadable);
  /// Takes away or gives back the free watches.
  void set_max_watches(std::size_t most) { options_.max_watches = most; }
  void set_leases(bool work) { options_.traits.leases = work; }
  /// Of an existing path; 0 if there is none.
  std::uint64_t inode_number(const std::string& path);
  std::size_t open_handles() const { return handles_.size(); }

 private:
  friend class FakeNotifier;
  friend struct FakeInode;
  class FakeListing;
  using InodePtr = std::shared_ptr<FakeInode>;
  using DentryPtr = std::shared_ptr<FakeDentry>;

  struct File {
    DentryPtr dentry;
    bool writing = false;
    bool appending = false;
    int references = 0;
    bool mapped = false;
    std::int64_t offset = 0;
  };
  /// Where a path leads: the directory above and the last name in it.
  struct Place {
    DentryPtr directory;
    std::string name;
    DentryPtr found;  ///< null if there is nothing
  };

  DentryPtr walk(DentryPtr from, std::string_view path, bool follow, int& error);
  int locate(const std::string& path, Place& place);
  DentryPtr existing(const std::string& path, int& error);
  InodePtr inode_of(int handle) const;
  InodePtr make_inode(FakeInode::Kind kind, std::uint64_t dev);
  DentryPtr add_entry(const Place& place, const InodePtr& inode);
  void remove_entry(FakeInode& directory, const std::string& name);
  void fill(const FakeInode& inode, Stat& out) const;
  bool has_writer(FakeInode& inode) const;
  File* file_of(int handle);
  void drop(int handle, File& file);

  Nanos stamp(FakeInode& inode) const;
  void stamp_data(FakeInode& inode) const;
  void notify(FakeInode& inode, std::uint32_t mask, std::uint32_t cookie, const std::string& name);
  void notify_both(const FakeDentry& dentry, std::uint32_t mask);
  void gone(FakeInode& inode);
  static void clear(FakeDentry& dentry);
  int create(const std::string& path, FakeInode::Kind kind, const std::string& target);

  FakeOptions options_;
  Now now_;
  DentryPtr root_;
  std::map<int, DentryPtr> handles_;
  int last_handle_ = 99;
  std::vector<File> files_;
  std::map<std::uint64_t, std::set<std::uint64_t>> free_numbers_;  ///< by device
  std::map<std::uint64_t, std::uint64_t> last_number_;
  std::uint64_t last_dev_ = 1;
  std::uint32_t last_cookie_ = 0;
  std::size_t watches_ = 0;
  std::map<std::string, DentryPtr> mounts_;
  std::vector<DentryPtr> unmounted_;
  bool closing_ = false;
};

}  // namespace inotifier::testing
