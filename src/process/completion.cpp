#include "process/completion.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

// Without leases: what rsync, scp and browsers leave between two writes on a healthy machine.
constexpr Nanos kQuiet = 2 * kSecond;
// CREATE is queued before its creator may write: two looks this far apart must agree.
constexpr Nanos kEmptyAgain = 2 * kSecond;
constexpr Nanos kEmptyOld = 10 * kSecond;
constexpr Nanos kOldEnough = 10 * kSecond;
constexpr Nanos kFirstLook = kMillisecond;
// One tick of the coarse clock is 1 to 10 ms (CONFIG_HZ).
constexpr Nanos kTickWait = 2 * kMillisecond;
constexpr Nanos kRarely = 10 * kSecond;
constexpr Nanos kLongWait = 3600 * kSecond;
constexpr int kLooksPerTurn = 1000;

bool is_scan(Origin origin) {
  return origin == Origin::kStartup || origin == Origin::kOverflow || origin == Origin::kRescan;
}
bool is_absence(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

/// How long after its last close a writer may still set the times of a file.
constexpr Nanos kFinishing = 10 * kSecond;

/// Whether the times of an announced file differ because somebody set them (cp -p, install, unzip,
/// rsync, touch), and not because it was written again. A write stamps mtime with the present time
/// and leaves atime alone.
bool times_were_set(const Row& row, const Stat& stat) {
  if (stat.inode != row.inode || stat.size != row.size) return false;
  // Without a creation time it might be another file that got the inode.
  if (stat.btime == 0 || row.birth != Row::birth_of(stat)) return false;
  if (stat.ctime - row.ctime > kFinishing) return false;
  return stat.mtime < row.ctime || stat.mtime > stat.ctime || stat.mtime == stat.atime;
}

bool is_regular(const Stat& stat) { return (stat.mode & 0170000U) == 0100000U; }

}  // namespace

std::uint32_t Completion::mask() const {
  return IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB;
}

void Completion::on(const RawEvent& event, const Now& now, Files& files, Out& out) {
  now_ = now;
  files_ = &files;
  out_ = &out;
  origin_ = event.origin;
  switch (event.kind) {
    case RawEvent::Kind::kInotify:
      return on_record(event);
    case RawEvent::Kind::kFound:
      return on_found(event);
    case RawEvent::Kind::kMoved:
    case RawEvent::Kind::kArrived:
      return on_moved(event);
    case RawEvent::Kind::kLeft:
      return on_gone(event.dir, event.name);
    case RawEvent::Kind::kListed:
      return on_listed(event);
    case RawEvent::Kind::kDirGone:
      return on_directory_gone(event);
    case RawEvent::Kind::kScanned:
      return on_scanned(event);
  }
}

void Completion::on_time(const Now& now, Files& files, Out& out) {
  now_ = now;
  files_ = &files;
  out_ = &out;
  origin_ = leaving_origin_;
  for (int i = 0; i < kLooksPerTurn && !leaving_.empty(); ++i) {
    const auto [dir, name] = std::move(leaving_.front());
    leaving_.pop_front();
    on_gone(dir, name);
  }
  for (int i = 0; i < kLooksPerTurn; ++i) {
    auto due = waiting_.take_due(now.mono);
    if (!due) return;
    const Look result = due->temporary ? look_at_temporary(*due) : look(*due);
    if (result == Look::kWait) waiting_.put(std::move(*due));
  }
}

// --- what makes a candidate
// ------------------------------------------------------------------------

void Completion::on_record(const RawEvent& event) {
  if ((event.mask & IN_DELETE) != 0) return on_gone(event.dir, event.name);
  if ((event.mask & IN_ATTRIB) != 0) return on_attributes(event);
  if ((event.mask & (IN_CREATE | IN_CLOSE_WRITE)) == 0) return;
  const bool closed = (event.mask & IN_CLOSE_WRITE) != 0;
  if (!event.path.empty()) {
    const auto verdict = filters_.file(event.path);
    if (verdict == Filters::Verdict::kTemporary) return on_temporary(event);
    if (verdict == Filters::Verdict::kExcluded) return;
  }
  bool existed = false;
  Waiting waiting = waiting_.take(event.dir, event.name, existed);
  if (!existed) {
    waiting.first_seen = now_.wall;
    waiting.waiting_since = now_.mono;
    waiting.evidence = Evidence::kLink;
  }
  waiting.origin = existed ? waiting.origin : Origin::kLive;
  if (!closed) {
    // The creator is still at work, most likely; a hard link or O_TMPFILE has none.
    if (!existed) waiting.due = now_.mono + kFirstLook;
    return waiting_.put(std::move(waiting));
  }
  if (waiting.evidence == Evidence::kLink || waiting.evidence == Evidence::kScan) {
    waiting.evidence = Evidence::kCloseWrite;
  }
  waiting.named = true;
  waiting.settled = false;
  waiting.tries = 0;
  waiting.last.reset();
  const Row* row = table_.find(event.dir, event.name);
  if (row == nullptr || !files_->queued_before_end_of(row->turn, event.position)) {
    waiting.rewritten = true;
  }
  consider(std::move(waiting));
}

void Completion::on_found(const RawEvent& event) {
  if (event.path.empty()) return;
  const auto verdict = filters_.file(event.path);
  if (verdict == Filters::Verdict::kTemporary) return on_temporary(event);
  if (verdict == Filters::Verdict::kExcluded) return;
  if (Row* row = table_.find(event.dir, event.name); row != nullptr) {
    Stat stat;
    if (event.stat != nullptr) {
      stat = *event.stat;
    } else if (files_->stat(event.dir, event.name, stat) != 0) {
      return;  // gone again; kListed or a record tells
    }
    row->listing = event.listing;
    const bool known = row->state != Row::State::kStalled;
    const bool here = row->path_hash == hash64(event.path);
    if (known && here && row->same_version(stat, files_->keeps_inodes())) return;
    if (known && here && event.stat == nullptr && times_were_set(*row, stat) &&
        waiting_.find(event.dir, event.name) == nullptr) {
      // The record that would have told was lost, with the daemon or in an overflow.
      row->mtime = stat.mtime;
      table_.changed(event.dir, event.name);
      return;
    }
  } else if (was_moved_here(event)) {
    return;
  }
  if (event.stat == nullptr && waiting_.find(event.dir, event.name) != nullptr) return;
  bool existed = false;
  Waiting waiting = waiting_.take(event.dir, event.name, existed);
  if (!existed) {
    waiting.first_seen = now_.wall;
    waiting.waiting_since = now_.mono;
    waiting.origin = event.origin;
    waiting.undecided = true;
    waiting.from = event.from_path;
    waiting.evidence = event.from_path.empty() ? Evidence::kScan : Evidence::kRename;
  }
  if (event.stat == nullptr) return consider(std::move(waiting));
  // A poller saw it: only what it saw counts, the disk is out of reach.
  path_ = event.path;
  waiting.due = InProgress::kNever;
  waiting.evidence = Evidence::kSettled;
  if (!is_regular(*event.stat)) return;
  const Nanos quiet = std::max(kQuiet, options_.settle);
  if (wait_for_quiet(waiting, *event.stat, quiet) == Look::kWait ||
      decide(waiting, *event.stat) == Look::kWait) {
    waiting.due = InProgress::kNever;
    waiting_.put(std::move(waiting));
  }
}

/// A listing came to its end. What it did not show may have been missed (readdir under renames), or
/// have moved to a directory that is still to be listed.
void Completion::on_listed(const RawEvent& event) {
  if (!event.rebuilt) return;
  for (std::string& name : table_.unlisted(event.dir, event.listing)) {
    if (is_scan(event.origin)) {
      unseen_.emplace_back(event.dir, std::move(name));
    } else {
      on_gone(event.dir, name);
    }
  }
}

void Completion::on_scanned(const RawEvent& event) {
  by_inode_.reset();
  auto unseen = std::exchange(unseen_, {});
  if (!event.rebuilt) return;
  leaving_origin_ = event.origin;
  leaving_.insert(leaving_.end(), std::make_move_iterator(unseen.begin()),
                  std::make_move_iterator(unseen.end()));
}

void Completion::on_directory_gone(const RawEvent& event) {
  waiting_.erase_directory(event.dir);
  for (const std::string& name : table_.unlisted(event.dir, 0)) {
    // Another file may have that path by now.
    const std::string path = join(event.path, name);
    Stat stat;
    if (event.rebuilt && is_absence(files_->stat_path(path, stat))) {
      forget_row(event.dir, name, path);
    } else {
      table_.leave(event.dir, name);
    }
  }
}

/// A scan met a file that it does not know. If it is an announced one that has left its old path,
/// it was moved while nobody looked: the same file only if inode, creation, size and mtime agree (a
/// deleted file's inode is given to the next one).
bool Completion::was_moved_here(const RawEvent& event) {
  if (!is_scan(event.origin) || event.stat != nullptr || !event.from_path.empty() ||
      table_.size() == 0 || !files_->keeps_inodes() ||
      waiting_.find(event.dir, event.name) != nullptr) {
    return false;
  }
  Stat stat;
  if (files_->stat(event.dir, event.name, stat) != 0) return false;
  if (!by_inode_) by_inode_.emplace(table_);
  RawEvent moved = event;
  moved.kind = RawEvent::Kind::kMoved;
  std::string from_name;
  std::string from_path;
  by_inode_->find(stat.inode, [&](DirId dir, std::string_view name, const Row& row) {
    if (row.state == Row::State::kStalled || row.birth != Row::birth_of(stat) ||
        !row.same_version(stat, true) || !is_gone(dir, name)) {
      return true;
    }
    moved.from_dir = dir;
    from_name = name;
    return false;
  });
  if (moved.from_dir == kNoDir || !files_->path(moved.from_dir, from_name, from_path)) return false;
  moved.from_name = from_name;
  moved.from_path = from_path;
  on_moved(moved);
  return true;
}

void Completion::on_moved(const RawEvent& event) {
  bool existed = false;
  Waiting waiting;
  if (event.kind == RawEvent::Kind::kMoved) {
    // The second half of a RENAME_EXCHANGE: what waits under the old name came from the new one a
    // moment ago, and stays. (If it was moved to and fro instead, its next look finds nothing.)
    const Waiting* known = waiting_.find(event.from_dir, event.from_name);
    const bool exchanged = known != nullptr && known->evidence == Evidence::kRename &&
                           !known->from.empty() && known->from == event.path;
    if (!exchanged) waiting = waiting_.take(event.from_dir, event.from_name, existed);
    if (const Row* row = table_.find(event.from_dir, event.from_name); row != nullptr) {
      // After RENAME_EXCHANGE the old name is still there, as another file.
      Stat there;
      const bool same = files_->stat(event.dir, event.name, there) == 0 &&
                        row->same_version(there, files_->keeps_inodes());
      waiting.was_announced = same && row->state == Row::State::kAnnounced;
      if (is_gone(event.from_dir, event.from_name)) {
        // Told by the announcement under the new name, unless that is none of ours.
        const bool admitted =
            event.path.empty() || filters_.file(event.path) == Filters::Verdict::kAdmitted;
        if (admitted) {
          table_.leave(event.from_dir, event.from_name);
        } else {
          forget_row(event.from_dir, event.from_name, event.from_path);
        }
      }
    }
  }
  bool replaced = false;
  waiting_.take(event.dir, event.name, replaced);  // what was waited for here is overwritten
  waiting.dir = event.dir;
  waiting.name = event.name;
  if (!existed) {
    waiting.first_seen = now_.wall;
    waiting.waiting_since = now_.mono;
  }
  waiting.temporary = false;
  waiting.told = false;
  waiting.origin = event.origin;
  waiting.evidence = Evidence::kRename;
  waiting.from = event.from_path;
  waiting.via_temporary =
      !event.from_path.empty() && filters_.file(event.from_path) == Filters::Verdict::kTemporary;
  waiting.named = true;
  waiting.settled = false;
  waiting.tries = 0;
  waiting.last.reset();
  if (!event.path.empty()) {
    const auto verdict = filters_.file(event.path);
    if (verdict == Filters::Verdict::kTemporary) return on_temporary(event);
    if (verdict == Filters::Verdict::kExcluded) return;
  }
  consider(std::move(waiting));
}

/// Something said that a name is no more; only the disk knows.
void Completion::on_gone(DirId dir, std::string_view name) {
  if (!is_gone(dir, name)) return;
  bool existed = false;
  waiting_.take(dir, name, existed);
  forget_row(dir, name, {});
}

bool Completion::is_gone(DirId dir, std::string_view name) {
  Stat stat;
  const int error = files_->stat(dir, name, stat);
  if (error != EAGAIN) return is_absence(error);
  // The directory is not where it was; nothing there, nothing in it.
  std::string path;
  return files_->path(dir, name, path) && is_absence(files_->stat_path(path, stat));
}

/// Many writers set times and modes after the close. That is no new version; but what a scan
/// compares with must follow.
void Completion::on_attributes(const RawEvent& event) {
  Row* row = table_.find(event.dir, event.name);
  if (row == nullptr || waiting_.find(event.dir, event.name) != nullptr) return;
  Stat stat;
  if (files_->stat(event.dir, event.name, stat) != 0) return;
  if (stat.inode != row->inode || stat.size != row->size) return;
  // The row's ctime stays that of the announcement: a close to come must show what was written.
  if (stat.mtime == row->mtime) return;
  // A writer at work changes the time too; its close will tell.
  if (options_.writer_check &&
      files_->writer(event.dir, event.name, stat) == Files::Writer::kOpen) {
    return;
  }
  row = table_.find(event.dir, event.name);
  if (row != nullptr && stat.inode == row->inode && stat.size == row->size) {
    row->mtime = stat.mtime;
    table_.changed(event.dir, event.name);
  }
}

void Completion::on_temporary(const RawEvent& event) {
  Waiting* known = waiting_.find(event.dir, event.name);
  if (known != nullptr && known->temporary) {
    if (event.stat == nullptr || options_.stalled_after == 0) return;
    // Out of reach but for what a poller sees of it.
    if (wait_for_quiet(*known, *event.stat, options_.stalled_after) == Look::kDone) {
      tell_stalled(*known, *event.stat);
    }
    known->due = InProgress::kNever;
    return;
  }
  bool existed = false;
  Waiting waiting = waiting_.take(event.dir, event.name, existed);
  if (!existed || !waiting.temporary) {
    waiting.temporary = true;
    waiting.undecided = false;
    waiting.first_seen = now_.wall;
    waiting.due = options_.stalled_after == 0 || event.stat != nullptr
                      ? InProgress::kNever
                      : now_.mono + options_.stalled_after;
    Stat stat;
    if (waiting.due != InProgress::kNever && event.kind == RawEvent::Kind::kFound &&
        files_->stat(event.dir, event.name, stat) == 0) {
      const Row* row = table_.find(event.dir, event.name);
      waiting.told =
          row != nullptr && row->state == Row::State::kStalled && row->inode == stat.inode;
      // It may have been there long before we came.
      const Nanos age = std::max<Nanos>(0, now_.wall - std::max(stat.mtime, stat.ctime));
      waiting.due = now_.mono + std::max<Nanos>(0, options_.stalled_after - age);
    }
  }
  waiting_.put(std::move(waiting));
}

// --- looking
// ---------------------------------------------------------------------------------------

void Completion::consider(Waiting waiting) {
  if (look(waiting) == Look::kWait) waiting_.put(std::move(waiting));
}

/// A writer is there, or the place is not known: 1, 2, 4 ... 512 ms, then every second, after an
/// hour every ten. Never waited out by events alone: two closes can be one record, and CLOSE_WRITE
/// comes before the writer is gone.
Completion::Look Completion::wait_again(Waiting& waiting) {
  constexpr std::uint8_t kMostDoublings = 10;
  const Nanos pause = waiting.tries < kMostDoublings ? kMillisecond << waiting.tries
                      : now_.mono - waiting.waiting_since > kLongWait ? kRarely
                                                                      : kSecond;
  if (waiting.tries < kMostDoublings) ++waiting.tries;
  waiting.due = now_.mono + pause;
  return Look::kWait;
}

Completion::Look Completion::wait_for_quiet(Waiting& waiting, const Stat& stat, Nanos quiet) {
  const Trace trace{stat.inode, stat.size, stat.mtime};
  if (waiting.last != trace) {
    waiting.last = trace;
    waiting.quiet_since = now_.mono;
  }
  const Nanos end = waiting.quiet_since + quiet;
  if (now_.mono >= end) return Look::kDone;
  waiting.due = end;
  return Look::kWait;
}

Completion::Look Completion::look(Waiting& waiting) {
  if (!files_->path(waiting.dir, waiting.name, path_)) return wait_again(waiting);
  // The path may have been unknown, or another one, when the candidate was made.
  if (filters_.file(path_) != Filters::Verdict::kAdmitted) return Look::kDone;
  const auto age = [&](const Stat& stat) { return now_.wall - std::max(stat.mtime, stat.ctime); };
  Stat stat;
  if (options_.settle > 0 && !waiting.settled) {
    const int error = files_->stat(waiting.dir, waiting.name, stat);
    if (error == EAGAIN) return wait_again(waiting);
    if (error != 0 || !is_regular(stat)) return Look::kDone;
    const bool old = waiting.evidence == Evidence::kScan && age(stat) >= options_.settle;
    if (!old && wait_for_quiet(waiting, stat, options_.settle) == Look::kWait) return Look::kWait;
    waiting.settled = true;
  }
  Files::Writer writer = Files::Writer::kUnknown;
  if (options_.writer_check) {
    writer = files_->writer(waiting.dir, waiting.name, stat);
  } else {
    const int error = files_->stat(waiting.dir, waiting.name, stat);
    if (error == EAGAIN) return wait_again(waiting);
    if (error != 0 || !is_regular(stat)) return Look::kDone;
    // The user says that this writer's close or rename is enough.
    if (waiting.named) writer = Files::Writer::kNone;
  }
  switch (writer) {
    case Files::Writer::kGone:
    case Files::Writer::kNotRegular:
      return Look::kDone;
    case Files::Writer::kChanged:
      return wait_again(waiting);
    case Files::Writer::kOpen:
      waiting.undecided = false;
      waiting.settled = false;
      waiting.last.reset();
      return wait_again(waiting);
    case Files::Writer::kUnknown: {
      if (options_.writer_check) {
        const int error = files_->stat(waiting.dir, waiting.name, stat);
        if (error == EAGAIN) return wait_again(waiting);
        if (error != 0 || !is_regular(stat)) return Look::kDone;
      }
      const Nanos quiet = std::max(kQuiet, options_.settle);
      const bool old =
          waiting.evidence == Evidence::kScan && age(stat) >= std::max(quiet, kOldEnough);
      if (!old && wait_for_quiet(waiting, stat, quiet) == Look::kWait) return Look::kWait;
      waiting.evidence = Evidence::kSettled;
      break;
    }
    case Files::Writer::kNone:
      if (stat.size == 0 && !waiting.named && now_.wall - stat.ctime < kEmptyOld &&
          wait_for_quiet(waiting, stat, kEmptyAgain) == Look::kWait) {
        return Look::kWait;
      }
      // Linked in, or written so fast that its CLOSE_WRITE is still in the queue? That one says
      // less than a link: the evidence must be right.
      if (waiting.evidence == Evidence::kLink) {
        if (waiting.granted == 0) {
          waiting.granted = files_->turn();
          files_->note_turn();
        }
        if (!files_->caught_up_with(waiting.granted)) {
          waiting.due = now_.mono + kFirstLook;
          return Look::kWait;
        }
      }
      break;
  }
  return decide(waiting, stat);
}

/// Nobody writes it any more: is that news?
Completion::Look Completion::decide(Waiting& waiting, const Stat& stat) {
  if (stat.size < options_.min_size) return Look::kDone;
  const Row* row = table_.find(waiting.dir, waiting.name);
  if (row != nullptr && row->state == Row::State::kStalled) row = nullptr;  // it was temporary
  const bool same = row != nullptr && row->same_version(stat, files_->keeps_inodes());
  const bool same_path = row != nullptr && row->path_hash == hash64(path_);
  if (same && same_path && !(waiting.rewritten && stat.ctime != row->ctime)) return Look::kDone;
  // The close of the announced version, read late; its times were set in between.
  if (same_path && !waiting.rewritten && waiting.evidence == Evidence::kCloseWrite &&
      times_were_set(*row, stat)) {
    table_.find(waiting.dir, waiting.name)->mtime = stat.mtime;
    table_.changed(waiting.dir, waiting.name);
    return Look::kDone;
  }
  if (!files_->later_write_shows(stat)) {
    // Another write within this tick would look the same: after it, the identity is unmistakable.
    waiting.due = now_.mono + kTickWait;
    return Look::kWait;
  }
  // Ignored is what had no writer when we first looked.
  if (options_.ignore_existing && waiting.undecided && waiting.origin == Origin::kStartup &&
      stat.ctime < born_ && row == nullptr) {
    remember(waiting, stat, Row::State::kNoArrival, 0);
    return Look::kDone;
  }
  const bool moved = (same && !same_path && row->state == Row::State::kAnnounced) ||
                     (waiting.was_announced && !waiting.rewritten);
  if (options_.only_via_temporary && !waiting.via_temporary) {
    const bool unheard = row == nullptr && waiting.evidence == Evidence::kScan;
    if (!unheard && !moved) {
      remember(waiting, stat, Row::State::kNoArrival, row == nullptr ? 0 : row->tie);
      return Look::kDone;
    }
  }
  announce(waiting, stat, row, moved);
  return Look::kDone;
}

void Completion::announce(const Waiting& waiting, const Stat& stat, const Row* row, bool moved) {
  const bool same_path = row != nullptr && row->path_hash == hash64(path_);
  Report report;
  report.path = path_;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.evidence = waiting.evidence;
  facts.origin = waiting.origin;
  facts.first_seen = waiting.first_seen;
  facts.from = waiting.from;
  // (tie, mtime) rises with every version of a path: no two of them have the same id, whatever a
  // writer does to the times.
  const auto* left = same_path ? nullptr : table_.left(hash64(path_));
  if (row != nullptr && !same_path) table_.note_left(*row);  // its directory was renamed
  facts.rewritten = left != nullptr || (same_path && row->state == Row::State::kAnnounced);
  if (same_path) {
    facts.tie = row->tie + (stat.mtime > row->mtime ? 0 : 1);
  } else if (left != nullptr) {
    facts.tie = left->tie + (stat.mtime > left->mtime ? 0 : 1);
  }
  remember(waiting, stat, Row::State::kAnnounced, facts.tie);
  if (moved && (!options_.announce_renamed || options_.only_via_temporary)) {
    report.type = "file.moved";
    if (out_->wants(report.type)) out_->say(std::move(report));
    return;
  }
  report.type = "file.completed";
  out_->say(std::move(report));
}

void Completion::remember(const Waiting& waiting, const Stat& stat, Row::State state,
                          std::uint32_t tie) {
  Row row;
  row.inode = stat.inode;
  row.size = stat.size;
  row.mtime = stat.mtime;
  row.ctime = stat.ctime;
  row.path_hash = hash64(path_);
  row.tie = tie;
  row.turn = files_->turn();
  row.state = state;
  row.birth = Row::birth_of(stat);
  if (const Row* before = table_.find(waiting.dir, waiting.name)) row.listing = before->listing;
  table_.put(waiting.dir, waiting.name, row);
}

/// The file of a row has left. False if there was no row.
bool Completion::forget_row(DirId dir, std::string_view name, std::string_view path) {
  const Row* row = table_.find(dir, name);
  if (row == nullptr) return false;
  if (row->state == Row::State::kAnnounced) {
    Report report;
    report.type = "file.removed";
    report.path = path;
    if (!path.empty() || files_->path(dir, name, report.path)) {
      FileFacts& facts = report.file.emplace();
      facts.stat.inode = row->inode;
      facts.stat.size = row->size;
      facts.stat.mtime = row->mtime;
      facts.tie = row->tie;
      facts.origin = origin_;
      facts.first_seen = now_.wall;
      out_->say(std::move(report));
    }
  }
  table_.leave(dir, name);
  return true;
}

/// Told once if it has not been touched for stalled_after.
Completion::Look Completion::look_at_temporary(Waiting& waiting) {
  Stat stat;
  const int error = files_->stat(waiting.dir, waiting.name, stat);
  if (error == EAGAIN) return wait_again(waiting);
  if (error != 0 || !is_regular(stat)) return Look::kDone;
  const Nanos age = now_.wall - std::max(stat.mtime, stat.ctime);
  if (age < options_.stalled_after) {
    waiting.due = now_.mono + std::clamp<Nanos>(options_.stalled_after - age, kMillisecond,
                                                options_.stalled_after);
    return Look::kWait;
  }
  waiting.due = InProgress::kNever;
  tell_stalled(waiting, stat);
  return Look::kWait;
}

void Completion::tell_stalled(Waiting& waiting, const Stat& stat) {
  if (waiting.told || !files_->path(waiting.dir, waiting.name, path_)) return;
  waiting.told = true;
  waiting.evidence = Evidence::kScan;
  remember(waiting, stat, Row::State::kStalled, 0);  // not to be told again after a restart
  Report report;
  report.type = "file.stalled";
  report.path = path_;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.first_seen = waiting.first_seen;
  facts.origin = waiting.origin;
  out_->say(std::move(report));
}

}  // namespace inotifier
