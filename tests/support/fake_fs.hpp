// A file system in memory under a clock that the test sets: a tree of inodes with hard links, open
// handles, leases and inotify, kind enough to be exact and unkind enough to show the kernel's
// races.
//
// Fs is the side the pipeline sees, Disk that of the writers. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fs/fs.hpp"
#include "support/disk.hpp"
#include "support/fake_notifier.hpp"

namespace inotifier::testing {

class FakeFs;
struct FakeDentry;

/// The daemon calls something that does not answer. Whoever stands for a thread that may wait
/// catches it and asks again later; anywhere else the daemon is hung.
struct FakeHang : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Calls of the daemon that can be made to fail; each gives a negative errno.
enum class FakeCall { kStat, kOpen, kLease, kList, kNext, kWatch };

/// A file system with its files. It lives as long as it is mounted somewhere or something of it is
/// open; one with a name can be mounted again.
struct FakeVolume {
  std::string name;
  std::uint64_t dev = 0;  ///< 0: not mounted; numbers are used again at once
  FsTraits traits;
  std::shared_ptr<FakeDentry> top;
  std::set<std::uint64_t> free_numbers;
  std::uint64_t last_number = 0;
};

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
    bool is_held() const { return until == INT64_MAX; }
  };
  struct Fault {
    int error;
    int times;  ///< < 0: for ever
  };
  FakeInode(FakeFs& owner, Kind its_kind) : fs(owner), kind(its_kind) {}
  ~FakeInode();
  FakeInode(const FakeInode&) = delete;
  FakeInode& operator=(const FakeInode&) = delete;

  FakeFs& fs;
  Kind kind;
  std::uint64_t number = 0;
  std::shared_ptr<FakeVolume> volume;
  std::uint64_t content = 0;      ///< another number after each change of the content
  std::set<std::uint64_t> quiet;  ///< contents it had while nobody wrote
  std::map<FakeCall, Fault> faults;
  bool hangs = false;  ///< open(2) of it, of a directory everything at and below it, waits
  std::int64_t size = 0;
  Nanos mtime = 0;
  Nanos atime = 0;
  Nanos ctime = 0;
  Nanos btime = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  int links = 0;
  bool looked_at = false;   ///< since the last change: multigrain times
  bool times_set = false;   ///< mtime is what a writer wanted, not when it wrote
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
  std::string came_from;      ///< the path before its last rename
  std::uint64_t came_as = 0;  ///< the content it had then
};

/// What the daemon got to see of a file in one call.
struct FakeLook {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  Nanos mtime = 0;
  Nanos ctime = 0;
  Nanos btime = 0;
  std::uint64_t content = 0;
  bool quiet = false;      ///< nobody wrote that content any more
  bool times_set = false;  ///< what tells it from other contents is as a writer wanted it
  const FakeVolume* volume = nullptr;
  std::uint64_t root = 0;  ///< inode of the root by which it was reached
  bool operator==(const FakeLook&) const = default;
  bool same_identity(const FakeLook& other) const {
    return inode == other.inode && size == other.size && mtime == other.mtime &&
           btime == other.btime;
  }
};

struct FakeOptions {
  FsTraits traits{"ext4", true, true, true, true};
  Nanos tick = 4'000'000;  ///< of the coarse clock
  Nanos granularity = 1;   ///< of times in inodes
  bool births = true;      ///< inodes have a birth time
  std::size_t name_max = 255;
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

  /// Monotonic time never goes back, the wall clock may.
  void set_time(const Now& now) { now_ = now; }
  const Now& now() const { return now_; }
  const FakeOptions& options() const { return options_; }

  // Fs
  int open_root(const std::string& path) override;
  int open_directory(int handle, const std::string& relative) override;
  void close(int handle) override;
  int stat(int handle, const std::string& relative, Stat& out) override;
  std::unique_ptr<Listing> list(int handle, int& error) override;
  Files::Writer writer(int handle, const std::string& relative, Stat& out, int& error) override;
  std::unique_ptr<Probes> probes(std::uint64_t volume) override;
  std::optional<RootProbe> probe_root(const std::string& path) override;
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
  int read(int handle) override;
  int truncate(const std::string& path, std::int64_t size) override;
  int set_times(const std::string& path, std::int64_t seconds) override;
  int copy_times(const std::string& from, const std::string& to) override;
  int change_mode(const std::string& path, std::uint32_t mode) override;
  int change_owner(const std::string& path) override;
  int set_attribute(const std::string& path) override;
  int make_symlink(const std::string& target, const std::string& path) override;
  int make_fifo(const std::string& path) override;
  int make_node(const std::string& path) override;

  // What only a fake can do

  /// Mounts the volume of that name, made if there is none; "" always makes one. `type`: "" is that
  /// of the root.
  int mount(const std::string& path, const std::string& volume = "", const std::string& type = "");
  /// mount --bind
  int bind(const std::string& from, const std::string& path);
  int unmount(const std::string& path, bool lazy = false);
  /// From now on the call fails for this file, so many times (-1: until mended).
  int set_fault(const std::string& path, FakeCall call, int error, int times);
  int set_hang(const std::string& path, bool hangs);
  /// No fault and no hang any more, of any file.
  void mend();
  /// `hook` runs within the daemon's `calls`-th call from now.
  void interpose(int calls, std::function<void()> hook) {
    hooks_.push_back({calls, std::move(hook)});
  }
  /// Those whose turn has not come run now.
  void run_hooks();
  int set_unreadable(const std::string& path, bool unreadable);
  /// Whoever made a file has got its access.
  void end_creation();
  /// Takes away or gives back the free watches.
  void set_max_watches(std::size_t most) { options_.max_watches = most; }
  void set_leases(bool work);
  /// Of an existing path; 0 if there is none.
  std::uint64_t inode_number(const std::string& path);
  std::size_t open_handles() const { return handles_.size(); }

  // What an auditor may ask

  struct Seen {
    const FakeDentry* name;
    const FakeInode* inode;
    bool is_written;
  };
  /// `root`: inode of the root by which it is reached.
  FakeLook look_of(const FakeInode& inode, std::uint64_t root) const;
  /// Every name at and below a directory, mounts included; `enters` says of a directory, by its
  /// path from there, whether to go on below it.
  void visit(const std::string& path, const std::function<bool(const std::string&)>& enters,
             const std::function<void(const std::string&, const Seen&)>& each);
  /// The daemon's last looks at a path (absolute), the newest first.
  const std::deque<FakeLook>* looks(const std::string& path) const;

 private:
  friend class FakeNotifier;
  friend struct FakeInode;
  class FakeListing;
  static constexpr std::uint64_t kRootMount = 1;
  using InodePtr = std::shared_ptr<FakeInode>;
  using DentryPtr = std::shared_ptr<FakeDentry>;

  /// As the kernel's `struct path`: one directory can be seen through several mounts.
  struct Where {
    DentryPtr dentry;
    std::uint64_t mount = kRootMount;
    explicit operator bool() const { return dentry != nullptr; }
    FakeInode& inode() const { return *dentry->inode; }
  };
  struct File {
    DentryPtr dentry;
    std::uint64_t mount = kRootMount;
    bool writing = false;
    bool appending = false;
    int references = 0;
    bool mapped = false;
    std::int64_t offset = 0;
  };
  /// Where a path leads: the directory above and the last name in it.
  struct Place {
    DentryPtr directory;
    std::uint64_t mount = kRootMount;
    std::string name;
    DentryPtr found;  ///< null if there is nothing
  };
  /// A directory of the daemon's that is open.
  struct Handle {
    Where at;
    std::string path;        ///< by which it was opened
    std::uint64_t root = 0;  ///< inode of the root by which it was reached
  };
  struct Mount {
    std::uint64_t id;
    Where point;
    DentryPtr top;
  };
  struct Hook {
    int calls;
    std::function<void()> run;
  };

  Where walk(Where from, std::string_view path, bool follow, int& error, bool may_hang = false);
  /// What is mounted on it, and on that.
  Where covered_by(Where at) const;
  int locate(const std::string& path, Place& place);
  DentryPtr existing(const std::string& path, int& error);
  InodePtr inode_of(int handle) const;
  InodePtr make_inode(FakeInode::Kind kind, const std::shared_ptr<FakeVolume>& volume);
  std::shared_ptr<FakeVolume> make_volume(const std::string& name, const std::string& type);
  /// Takes the lowest free device number.
  void give_number(FakeVolume& volume);
  std::string path_of(const Where& where) const;
  void add_mount(const Where& point, const DentryPtr& top);
  bool is_mount_point(const FakeDentry& dentry) const;
  /// Of a mount.
  bool is_top(const Where& where) const;
  /// Ends a volume that nobody has mounted or open any more.
  void release(const std::shared_ptr<FakeVolume>& volume);
  bool is_used(const FakeVolume& volume) const;
  /// Begins a call of the daemon.
  void enter();
  /// The errno that this call of the daemon gives for the file, negative; 0 if none.
  int fault(FakeInode& inode, FakeCall call);
  /// Of a look by the daemon; throws FakeHang where it would wait.
  Where look_up(int handle, const std::string& relative, FakeCall call, int& error);
  void note_look(int handle, const std::string& relative, FakeInode& inode);
  void changed(FakeInode& inode);
  DentryPtr add_entry(const Place& place, const InodePtr& inode);
  void remove_entry(FakeInode& directory, const std::string& name);
  void fill(const FakeInode& inode, Stat& out) const;
  bool has_writer(FakeInode& inode) const;
  File* file_of(int handle);
  void drop(int handle, File& file);

  Nanos stamp(FakeInode& inode);
  void stamp_data(FakeInode& inode);
  void notify(FakeInode& inode, std::uint32_t mask, std::uint32_t cookie, const std::string& name);
  void notify_both(const FakeDentry& dentry, std::uint32_t mask);
  void gone(FakeInode& inode);
  static void clear(FakeDentry& dentry);
  int create(const std::string& path, FakeInode::Kind kind, const std::string& target);

  FakeOptions options_;
  Now now_;
  DentryPtr root_;
  std::map<int, Handle> handles_;
  int last_handle_ = 99;
  std::vector<File> files_;
  std::vector<std::shared_ptr<FakeVolume>> volumes_;
  std::vector<Mount> mounts_;  ///< in the order of their mounting
  std::uint64_t last_mount_ = kRootMount;
  std::vector<Hook> hooks_;
  std::vector<std::weak_ptr<FakeInode>> faulty_;
  std::map<std::string, std::deque<FakeLook>> looks_;
  std::uint64_t last_content_ = 0;
  std::weak_ptr<FakeInode> creating_;  ///< made last
  Nanos last_fine_ = 0;  ///< monotonic; no coarse stamp is older than the newest fine one
  std::uint32_t last_cookie_ = 0;
  std::size_t watches_ = 0;
  bool closing_ = false;
};

}  // namespace inotifier::testing
