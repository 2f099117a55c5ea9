// A file of one watch that is waited for: what is known of it and when it is looked at next. A
// plain value; pipeline thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "inotifier/processor.hpp"

namespace inotifier {

inline bool is_scan(Origin origin) {
  return origin == Origin::kStartup || origin == Origin::kOverflow || origin == Origin::kRescan;
}

/// What shows that a file was touched.
struct Trace {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  Nanos mtime = 0;
  bool operator==(const Trace&) const = default;
};

struct Candidate {
  enum class Stage : std::uint8_t {
    kFound,      ///< found by a scan and not looked at to the end yet
    kPending,    ///< it may be finished
    kTemporary,  ///< under a temporary name, kept for file.stalled
    kStalled,    ///< the same, and file.stalled was emitted
  };
  /// What is known of its name. A later one includes those before it.
  enum class Naming : std::uint8_t {
    kSeen,           ///< it is there; nothing says that its writer is through
    kConfirmed,      ///< it had a CLOSE_WRITE or MOVED_TO under this name
    kFromTemporary,  ///< it was renamed from a temporary name
  };
  enum class News : std::uint8_t {
    kUnknown,    ///< the file table decides
    kMoved,      ///< this very version was announced under `from`
    kRewritten,  ///< a CLOSE_WRITE came that belongs to no announced version
  };

  /// What its last look found missing.
  enum class Wait : std::uint8_t {
    kLook,      ///< nothing: it was not looked at yet
    kWriter,    ///< somebody has it open for writing
    kQuiet,     ///< it has to be left alone for a while
    kEmpty,     ///< it is empty, and nothing confirmed its name: its writer may be about to come
    kNoAnswer,  ///< open(2) does not return
    kPlace,     ///< a directory above it is on its way elsewhere, or it changed during the look
    kClock,     ///< a write in this tick of the clock would not show
    kRecords,   ///< records that are queued may say more
    kRename,    ///< how it got its name may still be told
  };

  DirId dir = kNoDir;
  std::string name;
  std::string from;         ///< earlier path; "" if none
  Nanos due = 0;            ///< monotonic: when to look next
  Nanos first_seen = 0;     ///< wall
  Nanos waiting_since = 0;  ///< monotonic
  Nanos quiet_since = 0;    ///< monotonic: when `last` was first seen
  Nanos gone_since = 0;     ///< monotonic: when its name was first found gone; 0 = it is there
  std::optional<Trace> last;
  std::uint64_t position = 0;  ///< Files::queued() before the last look
  bool asked = false;          ///< that look has no answer yet
  /// Of a look whose meaning depends on the records that were queued by then.
  struct Mark {
    std::uint64_t inode = 0;
    Nanos ctime = 0;
    std::uint64_t position = 0;  ///< Files::queued() after it
  };
  std::optional<Mark> mark;
  std::uint32_t listing = 0;  ///< the last listing that showed it
  Evidence evidence = Evidence::kScan;
  Origin origin = Origin::kLive;
  Stage stage = Stage::kPending;
  Naming naming = Naming::kSeen;
  News news = News::kUnknown;
  Wait wait = Wait::kLook;
  std::uint8_t tries = 0;
  bool attributes = false;  ///< an ATTRIB came since the look that its row is of
  bool unseen = false;      ///< how it got its name nobody saw: it may have been a temporary one

  /// It was there when a scan came, and nothing has happened to it since: it can wait.
  bool is_find() const { return stage == Stage::kFound && is_scan(origin); }
  bool is_temporary() const { return stage == Stage::kTemporary || stage == Stage::kStalled; }
  /// It is waited for from now on.
  void begin(const Now& now) {
    first_seen = now.wall;
    waiting_since = now.mono;
  }
  /// Something happened to it: what was seen of it before counts no more.
  void restart() {
    tries = 0;
    last.reset();
  }
};

}  // namespace inotifier
