// Watcher: listing directories, new ones at once, all of them in a rescan.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "source/watcher.hpp"
#include "source/watcher_internal.hpp"

namespace inotifier {
namespace {

constexpr Nanos kBackOffFirst = kSecond;
constexpr Nanos kBackOffMost = 30 * kSecond;
constexpr Nanos kBackOffForget = 60 * kSecond;
// An open, a stat, an inotify_add_watch and the first getdents cost about as much as so many
// entries.
constexpr int kUnitsPerDirectory = 4;

}  // namespace

bool Watcher::begin(Lister& lister, Task task, bool absence_counts) {
  DirId parent = kNoDir;
  if (task.self.dir != kNoDir) {
    if (!is_valid(task.self)) return false;
    parent = table_.at(task.self.dir).parent;
    task.name = table_.at(task.self.dir).name;
    const std::string* path = dir_path(task.self.dir);
    if (path == nullptr) return false;  // on its way; it is listed where it arrives
    lister.path = *path;
  } else {
    if (!is_valid(task.parent)) return false;
    parent = task.parent.dir;
    const std::string* path = dir_path(parent);
    if (path == nullptr) return false;
    lister.path = join(*path, task.name);
    if (!options_.enters(lister.path)) {
      const DirId child = table_.child(parent, task.name);
      if (child != kNoDir) drop(child);  // it got a name that is not ours to look into
      return false;
    }
  }
  lister.handle = fs_.open_directory(root_.open(), lister.path);
  if (lister.handle < 0) {
    const int error = -std::exchange(lister.handle, -1);
    if (parent != kNoDir) not_there(parent, task.name, error, lister.path);
    return false;
  }
  Stat stat;
  const int failed = fs_.stat(lister.handle, "", stat);
  if (failed != 0) {
    close(lister);
    return false;
  }
  if (parent == kNoDir) {
    lister.dir = kRootDir;
    if (stat.inode != table_.at(kRootDir).inode || stat.dev != table_.at(kRootDir).dev) {
      root_.doubt();
      close(lister);
      return false;
    }
    if (task.arm) set_watch(kRootDir, add_watch(lister.handle, lister.path));
  } else if (!task.arm && task.self.dir != kNoDir && table_.at(task.self.dir).inode == stat.inode &&
             table_.at(task.self.dir).dev == stat.dev) {
    lister.dir = task.self.dir;
  } else {
    lister.dir = arm(parent, task.name, lister.handle, stat, lister.path, task.from);
    if (lister.dir == kNoDir) {
      close(lister);
      return false;
    }
  }
  int error = 0;
  lister.listing = fs_.list(lister.handle, error);
  if (!lister.listing) {
    degraded(is_shortage(error) ? "shortage" : "unreadable", lister.path,
             describe("open", join(root_.path(), lister.path), error) + ": " + advice(error));
    if (is_shortage(error)) rescan("shortage", Origin::kRescan);
    close(lister);
    return false;
  }
  lister.number = ++listings_;
  lister.absence_counts = absence_counts;
  lister.task = std::move(task);
  if (lister.task.files) table_.at(lister.dir).listed = scan_.number;
  return true;
}

void Watcher::close(Lister& lister) {
  lister.listing.reset();
  if (lister.handle >= 0) fs_.close(std::exchange(lister.handle, -1));
  lister.dir = kNoDir;
}

/// Lists on; returns the units that are left.
int Watcher::advance(Lister& lister, int units, bool scanning) {
  // Renames above it may have changed the path since the last slice.
  if (!table_.path(lister.dir, lister.path)) return units;
  Entry entry;
  while (units > 0 && lister) {
    const int more = lister.listing->next(entry);
    if (more > 0) {
      --units;
      if (!on_entry(lister, entry, scanning)) break;
      continue;
    }
    if (more < 0) {
      degraded(
          "unreadable", lister.path,
          describe("getdents64", join(root_.path(), lister.path), -more) + ": " + advice(-more));
      close(lister);
    } else {
      finish(lister, scanning);
    }
  }
  return units;
}

bool Watcher::on_entry(Lister& lister, const Entry& entry, bool scanning) {
  Entry::Kind kind = entry.kind;
  const std::size_t base = lister.path.size();
  if (base != 0) lister.path += '/';
  lister.path += entry.name;
  if (kind == Entry::Kind::kUnknown) {
    Stat stat;
    if (fs_.stat(root_.open(), lister.path, stat) == 0) {
      const std::uint32_t type = stat.mode & 0170000U;
      kind = type == 0100000U   ? Entry::Kind::kFile
             : type == 0040000U ? Entry::Kind::kDirectory
                                : Entry::Kind::kOther;
    }
  }
  if (kind == Entry::Kind::kFile) {
    if (scanning && scan_.phase == Scan::Phase::kArm) ++scan_.files;
    if (lister.task.files) {
      RawEvent event;
      event.kind = RawEvent::Kind::kFound;
      event.origin = lister.task.origin;
      event.dir = lister.dir;
      event.name = entry.name;
      event.path = lister.path;
      event.listing = lister.number;
      std::string from;
      if (!lister.task.from.empty()) {
        from = join(lister.task.from, entry.name);
        event.from_path = from;
      }
      sink_.on_raw(event);
    }
  } else if (kind == Entry::Kind::kDirectory && lister.task.subdirectories && options_.recursive &&
             options_.enters(lister.path)) {
    const DirId child = table_.child(lister.dir, entry.name);
    bool descend = true;
    if (child != kNoDir) {
      table_.at(child).seen = lister.number;
      // A polled directory's watched children look after themselves.
      if (!scanning && lister.task.origin == Origin::kPoll && table_.at(child).wd >= 0) {
        descend = false;
      }
    }
    if (lost_mounts_.contains(lister.path)) descend = false;
    if (descend) {
      Task task;
      task.parent = ref(lister.dir);
      task.name = entry.name;
      task.origin = lister.task.origin;
      task.files = lister.task.files;
      if (!lister.task.from.empty()) task.from = join(lister.task.from, entry.name);
      if (scanning) {
        scan_.stack.push_back(std::move(task));
      } else {
        fresh_.push_back(std::move(task));
      }
    }
  }
  if (!lister) return false;  // what we said made somebody drop this directory
  lister.path.resize(base);
  return true;
}

void Watcher::finish(Lister& lister, bool scanning) {
  const DirId dir = lister.dir;
  if (lister.task.subdirectories && options_.recursive && lister.absence_counts) {
    std::vector<DirId> missing;
    for (DirId child = table_.at(dir).first_child; child != kNoDir;
         child = table_.at(child).next_sibling) {
      if (table_.at(child).seen != lister.number) missing.push_back(child);
    }
    for (const DirId child : missing) {
      // readdir under renames misses what is there: only lstat says that something is gone.
      const std::string path = join(lister.path, table_.at(child).name);
      if (lost_mounts_.contains(path)) continue;
      Stat stat;
      const int error = fs_.stat(root_.open(), path, stat);
      if (is_absence(-error)) {
        if (open_directory(dir) >= 0) miss(child);
      } else if (error == 0) {
        Task task;
        task.parent = ref(dir);
        task.name = table_.at(child).name;
        task.origin = lister.task.origin;
        task.files = lister.task.files;
        (scanning ? scan_.stack.push_back(std::move(task)) : fresh_.push_back(std::move(task)));
      }
    }
  }
  if (lister.task.files) {
    RawEvent event;
    event.kind = RawEvent::Kind::kListed;
    event.origin = lister.task.origin;
    event.dir = dir;
    event.listing = lister.number;
    event.rebuilt = lister.absence_counts;
    sink_.on_raw(event);
  }
  close(lister);
}

int Watcher::run_fresh(int units) {
  while (units > 0) {
    if (!fresh_lister_) {
      if (fresh_.empty()) break;
      Task task = std::move(fresh_.front());
      fresh_.pop_front();
      units -= kUnitsPerDirectory;
      if (!begin(fresh_lister_, std::move(task), true)) continue;
    }
    const int before = units;
    units = advance(fresh_lister_, units, false);
    if (units == before && fresh_lister_) break;  // on its way elsewhere
  }
  return units;
}

/// While scans are held directories are watched all the same: what happens in them must be seen.
int Watcher::run_scan(int units) {
  while (units > 0 && scan_.phase != Scan::Phase::kIdle) {
    if (scans_held_ && scan_.phase != Scan::Phase::kArm) break;
    if (scan_lister_) {
      const int before = units;
      units = advance(scan_lister_, units, true);
      if (units == before && scan_lister_) break;
      continue;
    }
    if (scan_.phase == Scan::Phase::kArm) {
      if (!scan_.stack.empty()) {
        Task task = std::move(scan_.stack.back());
        scan_.stack.pop_back();
        task.files = !scan_.ready_first && !scans_held_;
        units -= kUnitsPerDirectory;
        begin(scan_lister_, std::move(task), scan_.absence_counts);
        continue;
      }
      if (!ready_told_) {
        ready_told_ = true;
        Value::Map data;
        data.emplace_back("directories", static_cast<std::int64_t>(table_.count()));
        data.emplace_back("files", scan_.files);
        sink_.on_status("ready", std::move(data));
      }
      scan_.phase = Scan::Phase::kList;
      scan_.cursor = 0;
      continue;
    }
    if (scan_.phase == Scan::Phase::kDrop) {
      units -= kUnitsPerDirectory;
      if (scan_.missing.empty()) {
        end_scan();
      } else if (drop_missing(scan_.missing.back())) {
        scan_.missing.pop_back();
      }
      continue;
    }
    if (scan_.cursor >= table_.limit()) {
      scan_.phase = Scan::Phase::kDrop;
      continue;
    }
    const DirId dir = scan_.cursor++;
    const auto& self = table_.at(dir);
    // What was not armed in the first pass is not there, not readable or on its way.
    if (!self.alive || self.detached || self.listed == scan_.number || self.armed != scan_.number) {
      continue;
    }
    Task task;
    task.self = ref(dir);
    task.origin = scan_.origin;
    task.arm = false;
    task.from = former_path(dir);
    task.subdirectories = false;
    units -= kUnitsPerDirectory;
    begin(scan_lister_, std::move(task), scan_.absence_counts);
  }
  return units;
}

/// One directory that is not there any more, from the leaves up. True: there is no more to do.
bool Watcher::drop_missing(const Ref& missing) {
  // Those that turned up elsewhere were armed there.
  if (!is_valid(missing) || table_.at(missing.dir).armed == scan_.number) return true;
  Stat stat;
  const int error = fs_.stat(root_.open(), last_path(missing.dir), stat);
  const bool directory = error == 0 && (stat.mode & 0170000U) == 0040000U;
  if (!is_absence(-error) && (error != 0 || directory)) return true;
  DirId leaf = missing.dir;
  while (table_.at(leaf).first_child != kNoDir) leaf = table_.at(leaf).first_child;
  const bool last = leaf == missing.dir;
  drop(leaf);
  return last;
}

void Watcher::end_scan() {
  RawEvent event;
  event.kind = RawEvent::Kind::kScanned;
  event.origin = scan_.origin;
  event.rebuilt = scan_.absence_counts;
  sink_.on_raw(event);
  for (const Limbo& limbo : std::exchange(limbo_, {})) {
    if (!is_valid(limbo.self) || !table_.at(limbo.self.dir).detached) continue;
    if (limbo.until > now_.mono) {
      limbo_.push_back(limbo);
    } else {
      drop(limbo.self.dir);
    }
  }
  scan_.known = {};
  scan_.moved.clear();
  scan_.phase = Scan::Phase::kIdle;
  if (scan_.origin != Origin::kPoll) last_scan_end_ = now_.mono;
  sink_.on_scanned(scan_.origin, scan_.reason, now_.mono - scan_.started);
}

bool Watcher::slice(int units) {
  const bool work = !fresh_.empty() || fresh_lister_ || scan_lister_ || rescan_due_ ||
                    scan_.phase != Scan::Phase::kIdle;
  if (!work || root_.open() < 0) return false;
  units = run_fresh(units);
  if (rescan_due_ && scan_.phase == Scan::Phase::kIdle && now_.mono >= scan_due_at()) {
    begin_scan(*std::exchange(rescan_due_, std::nullopt));
  }
  units = run_scan(units);
  return units <= 0;
}

void Watcher::rescan(std::string_view reason, Origin origin, bool absence_counts) {
  // While one runs, any number of doubts leave exactly one more due.
  if (!root_.attached()) return;
  if (rescan_due_) {
    // A poll must not hide a stronger reason.
    if (rescan_due_->origin == Origin::kPoll) {
      rescan_due_->reason = reason;
      rescan_due_->origin = origin;
    }
    rescan_due_->absence_counts = rescan_due_->absence_counts && absence_counts;
    return;
  }
  rescan_due_ = Due{std::string(reason), origin, absence_counts};
}

/// The first rescan begins at once; those that follow soon wait longer and longer.
Nanos Watcher::scan_due_at() const {
  return rescan_due_->origin == Origin::kPoll ? now_.mono : last_scan_end_ + back_off_;
}

void Watcher::begin_scan(Due due) {
  if (due.origin != Origin::kPoll && scan_.number > 0) {
    const bool soon = now_.mono - last_scan_end_ < kBackOffForget;
    back_off_ = soon ? std::clamp(2 * back_off_, kBackOffFirst, kBackOffMost) : 0;
  }
  ++scan_.number;
  scan_.origin = due.origin;
  scan_.reason = std::move(due.reason);
  scan_.absence_counts = due.absence_counts;
  // Where nothing is known of the files each of them will be looked at, which takes long; until
  // then every directory shall be watched. Otherwise listing once is enough.
  scan_.ready_first = due.origin == Origin::kStartup && !options_.known;
  scan_.phase = Scan::Phase::kArm;
  scan_.started = now_.mono;
  scan_.files = 0;
  scan_.stack.clear();
  scan_.missing.clear();
  scan_.moved.clear();
  scan_.known.clear();
  for (DirId dir = 0; dir < table_.limit(); ++dir) {
    const auto& self = table_.at(dir);
    if (self.alive && self.wd < 0 && self.inode != 0) scan_.known.emplace_back(self.inode, dir);
  }
  std::sort(scan_.known.begin(), scan_.known.end());
  Task task;
  task.self = ref(kRootDir);
  task.origin = due.origin;
  scan_.stack.push_back(std::move(task));
}

}  // namespace inotifier
