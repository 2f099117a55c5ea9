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
    auto due = in_progress_.take_due(now.mono);
    if (!due) return;
    const Look result = due->temporary ? look_at_temporary(*due) : look(*due);
    if (result == Look::kWait) in_progress_.put(std::move(*due));
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
  Candidate candidate = in_progress_.take(event.dir, event.name, existed);
  if (!existed) {
    candidate.first_seen = now_.wall;
    candidate.waiting_since = now_.mono;
    candidate.evidence = Evidence::kLink;
  }
  candidate.origin = existed ? candidate.origin : Origin::kLive;
  if (!closed) {
    // The creator is still at work, most likely; a hard link or O_TMPFILE has none.
    if (!existed) candidate.due = now_.mono + kFirstLook;
    return in_progress_.put(std::move(candidate));
  }
  if (candidate.evidence == Evidence::kLink || candidate.evidence == Evidence::kScan) {
    candidate.evidence = Evidence::kCloseWrite;
  }
  candidate.named = true;
  candidate.settled = false;
  candidate.tries = 0;
  candidate.last.reset();
  const Row* row = table_.find(event.dir, event.name);
  if (row == nullptr || !files_->queued_before_end_of(row->turn, event.position)) {
    candidate.rewritten = true;
  }
  consider(std::move(candidate));
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
        in_progress_.find(event.dir, event.name) == nullptr) {
      // The record that would have told was lost, with the daemon or in an overflow.
      row->mtime = stat.mtime;
      table_.changed(event.dir, event.name);
      return;
    }
  } else if (was_moved_here(event)) {
    return;
  }
  if (event.stat == nullptr && in_progress_.find(event.dir, event.name) != nullptr) return;
  bool existed = false;
  Candidate candidate = in_progress_.take(event.dir, event.name, existed);
  if (!existed) {
    candidate.first_seen = now_.wall;
    candidate.waiting_since = now_.mono;
    candidate.origin = event.origin;
    candidate.undecided = true;
    candidate.from = event.from_path;
    candidate.evidence = event.from_path.empty() ? Evidence::kScan : Evidence::kRename;
  }
  if (event.stat == nullptr) return consider(std::move(candidate));
  // A poller saw it: only what it saw counts, the disk is out of reach.
  path_ = event.path;
  candidate.due = InProgress::kNever;
  candidate.evidence = Evidence::kSettled;
  if (!is_regular(*event.stat)) return;
  const Nanos quiet = std::max(kQuiet, options_.settle);
  if (wait_for_quiet(candidate, *event.stat, quiet) == Look::kWait ||
      decide(candidate, *event.stat) == Look::kWait) {
    candidate.due = InProgress::kNever;
    in_progress_.put(std::move(candidate));
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
  in_progress_.erase_directory(event.dir);
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
      in_progress_.find(event.dir, event.name) != nullptr) {
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
  Candidate candidate;
  if (event.kind == RawEvent::Kind::kMoved) {
    // The second half of a RENAME_EXCHANGE: what waits under the old name came from the new one a
    // moment ago, and stays. (If it was moved to and fro instead, its next look finds nothing.)
    const Candidate* known = in_progress_.find(event.from_dir, event.from_name);
    const bool exchanged = known != nullptr && known->evidence == Evidence::kRename &&
                           !known->from.empty() && known->from == event.path;
    if (!exchanged) candidate = in_progress_.take(event.from_dir, event.from_name, existed);
    if (const Row* row = table_.find(event.from_dir, event.from_name); row != nullptr) {
      // After RENAME_EXCHANGE the old name is still there, as another file.
      Stat there;
      const bool same = files_->stat(event.dir, event.name, there) == 0 &&
                        row->same_version(there, files_->keeps_inodes());
      candidate.was_announced = same && row->state == Row::State::kAnnounced;
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
  in_progress_.take(event.dir, event.name, replaced);  // what was waited for here is overwritten
  candidate.dir = event.dir;
  candidate.name = event.name;
  if (!existed) {
    candidate.first_seen = now_.wall;
    candidate.waiting_since = now_.mono;
  }
  candidate.temporary = false;
  candidate.told = false;
  candidate.origin = event.origin;
  candidate.evidence = Evidence::kRename;
  candidate.from = event.from_path;
  candidate.via_temporary =
      !event.from_path.empty() && filters_.file(event.from_path) == Filters::Verdict::kTemporary;
  candidate.named = true;
  candidate.settled = false;
  candidate.tries = 0;
  candidate.last.reset();
  if (!event.path.empty()) {
    const auto verdict = filters_.file(event.path);
    if (verdict == Filters::Verdict::kTemporary) return on_temporary(event);
    if (verdict == Filters::Verdict::kExcluded) return;
  }
  consider(std::move(candidate));
}

/// Something said that a name is no more; only the disk knows.
void Completion::on_gone(DirId dir, std::string_view name) {
  if (!is_gone(dir, name)) return;
  bool existed = false;
  in_progress_.take(dir, name, existed);
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
  if (row == nullptr || in_progress_.find(event.dir, event.name) != nullptr) return;
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
  Candidate* known = in_progress_.find(event.dir, event.name);
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
  Candidate candidate = in_progress_.take(event.dir, event.name, existed);
  if (!existed || !candidate.temporary) {
    candidate.temporary = true;
    candidate.undecided = false;
    candidate.first_seen = now_.wall;
    candidate.due = options_.stalled_after == 0 || event.stat != nullptr
                        ? InProgress::kNever
                        : now_.mono + options_.stalled_after;
    Stat stat;
    if (candidate.due != InProgress::kNever && event.kind == RawEvent::Kind::kFound &&
        files_->stat(event.dir, event.name, stat) == 0) {
      const Row* row = table_.find(event.dir, event.name);
      candidate.told =
          row != nullptr && row->state == Row::State::kStalled && row->inode == stat.inode;
      // It may have been there long before we came.
      const Nanos age = std::max<Nanos>(0, now_.wall - std::max(stat.mtime, stat.ctime));
      candidate.due = now_.mono + std::max<Nanos>(0, options_.stalled_after - age);
    }
  }
  in_progress_.put(std::move(candidate));
}

// --- looking
// ---------------------------------------------------------------------------------------

void Completion::consider(Candidate candidate) {
  if (look(candidate) == Look::kWait) in_progress_.put(std::move(candidate));
}

/// A writer is there, or the place is not known: 1, 2, 4 ... 512 ms, then every second, after an
/// hour every ten. Never waited out by events alone: two closes can be one record, and CLOSE_WRITE
/// comes before the writer is gone.
Completion::Look Completion::wait_again(Candidate& candidate) {
  constexpr std::uint8_t kMostDoublings = 10;
  const Nanos pause = candidate.tries < kMostDoublings ? kMillisecond << candidate.tries
                      : now_.mono - candidate.waiting_since > kLongWait ? kRarely
                                                                        : kSecond;
  if (candidate.tries < kMostDoublings) ++candidate.tries;
  candidate.due = now_.mono + pause;
  return Look::kWait;
}

Completion::Look Completion::wait_for_quiet(Candidate& candidate, const Stat& stat, Nanos quiet) {
  const Trace trace{stat.inode, stat.size, stat.mtime};
  if (candidate.last != trace) {
    candidate.last = trace;
    candidate.quiet_since = now_.mono;
  }
  const Nanos end = candidate.quiet_since + quiet;
  if (now_.mono >= end) return Look::kDone;
  candidate.due = end;
  return Look::kWait;
}

Completion::Look Completion::look(Candidate& candidate) {
  if (!files_->path(candidate.dir, candidate.name, path_)) return wait_again(candidate);
  // The path may have been unknown, or another one, when the candidate was made.
  if (filters_.file(path_) != Filters::Verdict::kAdmitted) return Look::kDone;
  const auto age = [&](const Stat& stat) { return now_.wall - std::max(stat.mtime, stat.ctime); };
  Stat stat;
  if (options_.settle > 0 && !candidate.settled) {
    const int error = files_->stat(candidate.dir, candidate.name, stat);
    if (error == EAGAIN) return wait_again(candidate);
    if (error != 0 || !is_regular(stat)) return Look::kDone;
    const bool old = candidate.evidence == Evidence::kScan && age(stat) >= options_.settle;
    if (!old && wait_for_quiet(candidate, stat, options_.settle) == Look::kWait) return Look::kWait;
    candidate.settled = true;
  }
  Files::Writer writer = Files::Writer::kUnknown;
  if (options_.writer_check) {
    writer = files_->writer(candidate.dir, candidate.name, stat);
  } else {
    const int error = files_->stat(candidate.dir, candidate.name, stat);
    if (error == EAGAIN) return wait_again(candidate);
    if (error != 0 || !is_regular(stat)) return Look::kDone;
    // The user says that this writer's close or rename is enough.
    if (candidate.named) writer = Files::Writer::kNone;
  }
  switch (writer) {
    case Files::Writer::kGone:
    case Files::Writer::kNotRegular:
      return Look::kDone;
    case Files::Writer::kChanged:
      return wait_again(candidate);
    case Files::Writer::kOpen:
      candidate.undecided = false;
      candidate.settled = false;
      candidate.last.reset();
      return wait_again(candidate);
    case Files::Writer::kUnknown: {
      if (options_.writer_check) {
        const int error = files_->stat(candidate.dir, candidate.name, stat);
        if (error == EAGAIN) return wait_again(candidate);
        if (error != 0 || !is_regular(stat)) return Look::kDone;
      }
      const Nanos quiet = std::max(kQuiet, options_.settle);
      const bool old =
          candidate.evidence == Evidence::kScan && age(stat) >= std::max(quiet, kOldEnough);
      if (!old && wait_for_quiet(candidate, stat, quiet) == Look::kWait) return Look::kWait;
      candidate.evidence = Evidence::kSettled;
      break;
    }
    case Files::Writer::kNone:
      if (stat.size == 0 && !candidate.named && now_.wall - stat.ctime < kEmptyOld &&
          wait_for_quiet(candidate, stat, kEmptyAgain) == Look::kWait) {
        return Look::kWait;
      }
      // Linked in, or written so fast that its CLOSE_WRITE is still in the queue? That one says
      // less than a link: the evidence must be right.
      if (candidate.evidence == Evidence::kLink) {
        if (candidate.granted == 0) {
          candidate.granted = files_->turn();
          files_->note_turn();
        }
        if (!files_->caught_up_with(candidate.granted)) {
          candidate.due = now_.mono + kFirstLook;
          return Look::kWait;
        }
      }
      break;
  }
  return decide(candidate, stat);
}

/// Nobody writes it any more: is that news?
Completion::Look Completion::decide(Candidate& candidate, const Stat& stat) {
  if (stat.size < options_.min_size) return Look::kDone;
  const Row* row = table_.find(candidate.dir, candidate.name);
  if (row != nullptr && row->state == Row::State::kStalled) row = nullptr;  // it was temporary
  const bool same = row != nullptr && row->same_version(stat, files_->keeps_inodes());
  const bool same_path = row != nullptr && row->path_hash == hash64(path_);
  if (same && same_path && !(candidate.rewritten && stat.ctime != row->ctime)) return Look::kDone;
  // The close of the announced version, read late; its times were set in between.
  if (same_path && !candidate.rewritten && candidate.evidence == Evidence::kCloseWrite &&
      times_were_set(*row, stat)) {
    table_.find(candidate.dir, candidate.name)->mtime = stat.mtime;
    table_.changed(candidate.dir, candidate.name);
    return Look::kDone;
  }
  if (!files_->later_write_shows(stat)) {
    // Another write within this tick would look the same: after it, the identity is unmistakable.
    candidate.due = now_.mono + kTickWait;
    return Look::kWait;
  }
  // Ignored is what had no writer when we first looked.
  if (options_.ignore_existing && candidate.undecided && candidate.origin == Origin::kStartup &&
      stat.ctime < born_ && row == nullptr) {
    remember(candidate, stat, Row::State::kNoArrival, 0);
    return Look::kDone;
  }
  const bool moved = (same && !same_path && row->state == Row::State::kAnnounced) ||
                     (candidate.was_announced && !candidate.rewritten);
  if (options_.only_via_temporary && !candidate.via_temporary) {
    const bool unheard = row == nullptr && candidate.evidence == Evidence::kScan;
    if (!unheard && !moved) {
      remember(candidate, stat, Row::State::kNoArrival, row == nullptr ? 0 : row->revision);
      return Look::kDone;
    }
  }
  announce(candidate, stat, row, moved);
  return Look::kDone;
}

void Completion::announce(const Candidate& candidate, const Stat& stat, const Row* row,
                          bool moved) {
  const bool same_path = row != nullptr && row->path_hash == hash64(path_);
  Report report;
  report.path = path_;
  report.dir = candidate.dir;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.evidence = candidate.evidence;
  facts.origin = candidate.origin;
  facts.first_seen = candidate.first_seen;
  facts.from = candidate.from;
  // (revision, mtime) rises with every version of a path: no two of them have the same id, whatever
  // a writer does to the times.
  const auto* left = same_path ? nullptr : table_.tombstone(hash64(path_));
  if (row != nullptr && !same_path) table_.add_tombstone(*row);  // its directory was renamed
  facts.rewritten = left != nullptr || (same_path && row->state == Row::State::kAnnounced);
  if (same_path) {
    facts.revision = row->revision + (stat.mtime > row->mtime ? 0 : 1);
  } else if (left != nullptr) {
    facts.revision = left->revision + (stat.mtime > left->mtime ? 0 : 1);
  }
  remember(candidate, stat, Row::State::kAnnounced, facts.revision);
  if (moved && (!options_.announce_renamed || options_.only_via_temporary)) {
    report.type = "file.moved";
    if (out_->wants(report.type)) out_->emit(std::move(report));
    return;
  }
  report.type = "file.completed";
  out_->emit(std::move(report));
}

void Completion::remember(const Candidate& candidate, const Stat& stat, Row::State state,
                          std::uint32_t revision) {
  Row row;
  row.inode = stat.inode;
  row.size = stat.size;
  row.mtime = stat.mtime;
  row.ctime = stat.ctime;
  row.path_hash = hash64(path_);
  row.revision = revision;
  row.turn = files_->turn();
  row.state = state;
  row.birth = Row::birth_of(stat);
  if (const Row* before = table_.find(candidate.dir, candidate.name)) row.listing = before->listing;
  table_.put(candidate.dir, candidate.name, row);
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
      facts.revision = row->revision;
      facts.origin = origin_;
      facts.first_seen = now_.wall;
      out_->emit(std::move(report));
    }
  }
  table_.leave(dir, name);
  return true;
}

/// Told once if it has not been touched for stalled_after.
Completion::Look Completion::look_at_temporary(Candidate& candidate) {
  Stat stat;
  const int error = files_->stat(candidate.dir, candidate.name, stat);
  if (error == EAGAIN) return wait_again(candidate);
  if (error != 0 || !is_regular(stat)) return Look::kDone;
  const Nanos age = now_.wall - std::max(stat.mtime, stat.ctime);
  if (age < options_.stalled_after) {
    candidate.due = now_.mono + std::clamp<Nanos>(options_.stalled_after - age, kMillisecond,
                                                  options_.stalled_after);
    return Look::kWait;
  }
  candidate.due = InProgress::kNever;
  tell_stalled(candidate, stat);
  return Look::kWait;
}

void Completion::tell_stalled(Candidate& candidate, const Stat& stat) {
  if (candidate.told || !files_->path(candidate.dir, candidate.name, path_)) return;
  candidate.told = true;
  candidate.evidence = Evidence::kScan;
  remember(candidate, stat, Row::State::kStalled, 0);  // not to be told again after a restart
  Report report;
  report.type = "file.stalled";
  report.path = path_;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.first_seen = candidate.first_seen;
  facts.origin = candidate.origin;
  out_->emit(std::move(report));
}

}  // namespace inotifier
