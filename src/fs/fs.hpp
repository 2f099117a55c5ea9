// The seam to the disk and to inotify. RealFs and InotifySource implement it for the kernel, FakeFs
// (tests/support) for scripts with fake time. What can be expected to fail returns a negative
// errno. Used by the pipeline thread.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "inotifier/processor.hpp"

namespace inotifier {

/// What a file system can be trusted with; from its type and the kernel's version.
struct FsTraits {
  std::string type;    ///< "ext4", "nfs", "0x12345678"
  bool local = true;   ///< false: writes of other machines give no events; never touch it here
  bool leases = true;  ///< F_SETLEASE tells the truth
  bool keeps_inodes = true;  ///< a file keeps its inode number while it exists
  /// After a stat every later change gets a new time (multigrain times, Linux 6.13). Without it
  /// two writes within one tick of the coarse clock look alike.
  bool fine_times = false;
};

/// One directory entry; `kind` may be unknown (some file systems do not tell).
struct Entry {
  enum class Kind : std::uint8_t { kUnknown, kFile, kDirectory, kOther };
  std::string_view name;  ///< valid until the next call
  Kind kind = Kind::kUnknown;
};

inline Entry::Kind kind_of(std::uint32_t mode) {
  return S_ISREG(mode)   ? Entry::Kind::kFile
         : S_ISDIR(mode) ? Entry::Kind::kDirectory
                         : Entry::Kind::kOther;
}

/// A listing in progress; holds one descriptor.
class Listing {
 public:
  virtual ~Listing() = default;
  /// 1: `entry` is filled; 0: the end; negative errno: the listing broke.
  virtual int next(Entry& entry) = 0;
};

/// What a look at a file shows.
struct Probe {
  Files::Writer writer = Files::Writer::kPending;
  Stat stat;
  int error = 0;    ///< errno of kUnknown
  Nanos stamp = 0;  ///< stamp_clock() just before
};

/// Looks at files of one volume, asked for together. What does not answer holds up none of the
/// others.
class Probes {
 public:
  virtual ~Probes() = default;
  /// Before start(): what is added next is in this directory. The handle may be closed afterwards.
  virtual void enter(int directory) = 0;
  virtual void add(std::string name) = 0;
  /// Once. Returns after a few milliseconds; what is not answered then comes later.
  virtual void start() = 0;
  /// Of the file that was added so many calls after the first. Null: not answered yet.
  virtual const Probe* answer(std::size_t file) const = 0;
  /// Monotonic time when the look began; 0 = not yet.
  virtual Nanos asked_since(std::size_t file) const = 0;
};

/// What the path of a root leads to just now.
struct RootProbe {
  int handle = -1;  ///< or a negative errno; the caller closes it
  Stat stat;
  FsTraits traits;
};

/// Directories go by handle (a descriptor in the real one), so that what is watched, looked at and
/// listed is one and the same directory whatever is renamed meanwhile. `relative` is a path below a
/// handle, "" the handle itself; it may be longer than PATH_MAX; no component may be a symbolic
/// link.
class Fs {
 public:
  virtual ~Fs() = default;

  /// The root itself may be reached through symbolic links: a user may configure one.
  virtual int open_root(const std::string& path) = 0;
  /// -EREMOTE if it is on a network or FUSE volume and the handle is not: nobody may touch that but
  /// a poller.
  virtual int open_directory(int handle, const std::string& relative) = 0;
  virtual void close(int handle) = 0;

  virtual int stat(int handle, const std::string& relative, Stat& out) = 0;
  virtual std::unique_ptr<Listing> list(int handle, int& error) = 0;
  /// Gives kUnknown with errno in `error` where leases do not work.
  virtual Files::Writer writer(int handle, const std::string& relative, Stat& out, int& error) = 0;
  /// Looks as writer() does, but may be left waiting by none. `volume`: the device of all files.
  virtual std::unique_ptr<Probes> probes(std::uint64_t volume) = 0;
  /// open_root(), stat() and traits(). Nothing: the path does not answer; call again later.
  virtual std::optional<RootProbe> probe_root(const std::string& path) = 0;
  virtual FsTraits traits(int handle) = 0;
  /// The coarse clock that stamps files, wall time.
  virtual Nanos stamp_clock() = 0;
  /// Wall time now, within a turn: what was decided is told as of after it was decided.
  virtual Nanos wall_clock() = 0;
  /// Mount points at or below `path`, sorted, one per line with what tells mounts
  /// apart; "" if none is known. Nothing if that cannot be seen just now.
  virtual std::optional<std::string> mounts_below(const std::string& path) = 0;
};

/// One inotify instance.
class Notifier {
 public:
  virtual ~Notifier() = default;
  /// The wd, the same again for a directory that has one; or a negative errno: -ENOENT if the
  /// directory is no more, -ENOSYS if there is no /proc to name it by.
  virtual int add_watch(int handle, std::uint32_t mask) = 0;
  virtual void remove_watch(int wd) = 0;
  /// How many bytes of records have ever entered this instance's queue.
  virtual std::uint64_t queued_bytes() const = 0;
};

}  // namespace inotifier
