// What decides, for one watch, which raw events become published ones. Write your own by deriving
// from Processor and giving a factory to the daemon (see src/README.md).
//
// A processor is a pure state machine: it has no clock, no thread and no I/O but the Files it is
// handed. It lives on the pipeline thread; calls never overlap.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/event.hpp"
#include "inotifier/stat.hpp"
#include "inotifier/time.hpp"

namespace inotifier {

/// A directory of the watch's tree. It keeps its number when it is moved within the tree; a number
/// may be used again after RawEvent::Kind::kDirGone.
using DirId = std::uint32_t;
inline constexpr DirId kRootDir = 0;
inline constexpr DirId kNoDir = 0xffffffffU;

/// Why we hold a file complete.
enum class Evidence : std::uint8_t { kRename, kCloseWrite, kLink, kScan, kSettled, kMarker };
/// How we came to look.
enum class Origin : std::uint8_t { kLive, kStartup, kNewDirectory, kOverflow, kRescan, kPoll };

std::string_view name_of(Evidence evidence);
std::string_view name_of(Origin origin);

/// One inotify record, decoded and placed in the tree, or something that was found out otherwise.
/// The views are valid during the call only.
struct RawEvent {
  enum class Kind : std::uint8_t {
    kInotify,      ///< a record on `dir`/`name`; `mask` as in inotify(7)
    kFound,        ///< a listing showed the file `dir`/`name`
    kListed,       ///< a listing of `dir` came to its end; all its files were told by kFound
    kMoved,        ///< `from_dir`/`from_name` is now `dir`/`name`, both of this watch
    kArrived,      ///< `dir`/`name` was moved in from elsewhere; `from_path` if that is watched too
    kLeft,         ///< `dir`/`name` was moved out of the watch
    kDirGone,      ///< `dir` and its number are no more; `path` is where it was last
    kRootChanged,  ///< the root is another: what was known of the files in `from_dir` is of `dir`
    kAnswered,     ///< Files::writer() of `dir`/`name` was kPending, and now is not
    kScanned,      ///< a scan of the whole watch came to its end: what it did not show is gone
    kHidden,       ///< `dir`/`name` is a directory that is not entered because of its name
  };
  Kind kind = Kind::kInotify;
  Origin origin = Origin::kLive;
  std::uint32_t mask = 0;
  DirId dir = kRootDir;
  DirId from_dir = kNoDir;
  std::string_view name;
  std::string_view from_name;
  /// `dir`/`name` relative to the root; empty while a directory above is on its way elsewhere.
  std::string_view path;
  /// The earlier path, where it is known: relative to the root, or absolute if in another watch.
  std::string_view from_path;
  /// kFound, kListed: number of the listing, so that what it did not show can be told.
  std::uint32_t listing = 0;
  /// kInotify: where the record stood in the watch's stream of records, in bytes.
  std::uint64_t position = 0;
  /// kListed, kDirGone, kScanned: what was not shown is worth asking for. False while a volume came
  /// or went: then absence is no removal.
  bool rebuilt = true;
  const Stat* stat = nullptr;  ///< kFound by a poller: what it saw; otherwise null
};

/// A file by its directory and name.
struct FileName {
  DirId dir = kNoDir;
  std::string_view name;
};

/// What may be known about files without waiting for anything but a local disk.
class Files {
 public:
  enum class Writer : std::uint8_t {
    kNone,        ///< nobody has it open for writing; `stat` is of that very moment
    kOpen,        ///< somebody has
    kUnknown,     ///< leases do not work here, or not for us
    kGone,        ///< no such file (any more)
    kNotRegular,  ///< a directory, FIFO, socket, device or symbolic link
    kChanged,     ///< the path showed another file at the end than at the beginning: ask again
    kPending,     ///< the disk does not answer yet: RawEvent::Kind::kAnswered tells when it does
  };
  virtual ~Files() = default;
  /// Path relative to the root. False while a directory above is on its way to another place.
  virtual bool path(DirId dir, std::string_view name, std::string& out) = 0;
  /// lstat(2): 0 or an errno. EAGAIN while the path is not known (see path()).
  virtual int stat(DirId dir, std::string_view name, Stat& out) = 0;
  virtual Writer writer(DirId dir, std::string_view name, Stat& out) = 0;
  /// Looks at all these at once, so that writer() of each has its answer at hand in this turn.
  virtual void probe(std::span<const FileName> files) { static_cast<void>(files); }
  /// lstat(2) of what is now at a path relative to the root, whatever directory that leads through.
  virtual int stat_path(std::string_view path, Stat& out) = 0;
  /// Bytes of records that have ever entered the kernel's queue of this watch: a record with a
  /// smaller RawEvent::position was in the queue before.
  virtual std::uint64_t queued() const = 0;
  /// How many of them have been handled.
  virtual std::uint64_t handled() const = 0;
  /// How often records may have been missed (overflow, mount, ...; the start counts as one).
  /// Between two moments with the same number none was.
  virtual std::uint32_t doubts() const = 0;
  /// Whether any write after `stat` was taken gives the file another mtime. Not so within one tick
  /// of the coarse clock where the file system has no finer times: then ask again a little later.
  virtual bool later_write_shows(const Stat& stat) = 0;
  /// Whether a file keeps its inode number while it exists (not so on some FUSE file systems).
  virtual bool keeps_inodes() const = 0;
};

/// What is told of a file besides its path.
struct FileFacts {
  Stat stat;
  std::uint32_t revision = 0;  ///< tells apart versions that inode, size and mtime do not
  Evidence evidence = Evidence::kCloseWrite;
  Origin origin = Origin::kLive;
  Nanos first_seen = 0;  ///< wall clock
  bool rewritten = false;
  std::string from;  ///< earlier path or temporary name, relative; "" if none
};

/// An event as a processor says it; id, time and position come later.
struct Report {
  std::string type;
  std::string path;  ///< relative to the root, bytes; "" speaks of the watch itself
  /// The directory that the file table has the file under, with the last component of `path` as its
  /// name; kNoDir: the report is of no row.
  DirId dir = kNoDir;
  std::optional<FileFacts> file;
  Value::Map data;  ///< further keys of the event's data
};

/// Takes what a processor says. The pipeline passes on the types that the watch asked for.
class Out {
 public:
  virtual ~Out() = default;
  virtual bool wants(std::string_view type) const = 0;
  virtual void emit(Report report) = 0;
};

/// Why a processor has not told of a file that it knows.
struct Waiting {
  std::string_view what;  ///< a word of clients/README.md, "explain"
  Nanos since = 0;        ///< monotonic: when it began to wait for this file
  Nanos until = 0;        ///< monotonic: when it looks again; 0 = when something happens
};

class Processor {
 public:
  virtual ~Processor() = default;
  /// The smallest inotify mask this processor can do its work with.
  virtual std::uint32_t mask() const = 0;
  virtual void on(const RawEvent& event, const Now& now, Files& files, Out& out) = 0;
  /// Called when deadline() has come. May do a bounded part of what is due and leave the rest: it
  /// is called again.
  virtual void on_time(const Now& now, Files& files, Out& out) = 0;
  /// Told before each turn: how many events of what scans find may be emitted in it; the rest waits
  /// for a turn that has room.
  virtual void set_room(std::size_t events) { static_cast<void>(events); }
  /// Monotonic time of the next on_time(); nothing if none is wanted.
  virtual std::optional<Nanos> deadline() const = 0;
  /// Files found by a scan that have not been looked at yet (watch.scanned waits for none).
  virtual std::size_t undecided() const { return 0; }
  /// Files that are being waited for: written, or under a temporary name.
  virtual std::size_t in_progress() const { return 0; }
  using EachWaiting = std::function<void(DirId, std::string_view name, const Waiting&)>;
  /// Calls each() for all of them, or for one.
  virtual void each_waiting(const EachWaiting& each) const { static_cast<void>(each); }
  virtual std::optional<Waiting> waiting(const FileName& file) const {
    static_cast<void>(file);
    return std::nullopt;
  }
};

}  // namespace inotifier
