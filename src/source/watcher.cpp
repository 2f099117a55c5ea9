#include "source/watcher.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

constexpr Nanos kRootCheck = kSecond;
// As long as a rename's other half is waited for.
constexpr Nanos kLimbo = 200 * kMillisecond;
constexpr Nanos kBackOffFirst = kSecond;
constexpr Nanos kBackOffMost = 30 * kSecond;
constexpr Nanos kBackOffForget = 60 * kSecond;
// An open, a stat, an inotify_add_watch and the first getdents cost about as much as so many
// entries.
constexpr int kUnitsPerDirectory = 4;

bool is_absence(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

std::string advice(int error) {
  switch (error) {
    case ENOSPC:
      return "the limit fs.inotify.max_user_watches is used up; raise it: "
             "sysctl fs.inotify.max_user_watches=1048576. Until then this directory is polled";
    case EACCES:
      return "the daemon's user may not read this directory; give it r-x";
    default:
      return "this directory is polled";
  }
}

}  // namespace

Watcher::Watcher(Options options, Fs& fs, Notifier* notifier, Sink& sink)
    : options_(std::move(options)), fs_(fs), notifier_(notifier), sink_(sink) {}

Watcher::~Watcher() {
  close(scan_lister_);
  close(fresh_lister_);
  close_root();
}

void Watcher::start(const Now& now) {
  now_ = now;
  next_poll_ = now_.mono + options_.poll_interval;
  check_root();
}

// --- records
// ---------------------------------------------------------------------------------------

void Watcher::on_bytes(std::span<const std::byte> bytes, std::uint64_t position) {
  while (!turn_ends_.empty() && turn_ends_.front().second <= position) turn_ends_.pop_front();
  Decoder decoder(bytes);
  Record record;
  std::size_t offset = decoder.offset();
  while (decoder.next(record)) {
    on_record(record, position + offset);
    offset = decoder.offset();
  }
  if (decoder.broken()) rescan("broken_record", Origin::kRescan);
  handled_ = position + bytes.size();
}

void Watcher::on_record(const Record& record, std::uint64_t position) {
  // Before any look-up: an overflow has no wd (inotify(7)).
  if ((record.mask & IN_Q_OVERFLOW) != 0) {
    sink_.on_record(record, {});
    rescan("overflow", Origin::kOverflow);
    return;
  }
  const DirId dir = table_.by_wd(record.wd);
  if (dir == kNoDir) {
    if (table_.is_retired(record.wd)) {
      if ((record.mask & IN_IGNORED) != 0) table_.ignored(record.wd);
    } else if ((record.mask & IN_IGNORED) == 0) {
      rescan("unknown_wd", Origin::kRescan);
    }
    return;
  }
  const std::string* directory = dir_path(dir);
  scratch_.clear();
  if (directory != nullptr) {
    scratch_ = *directory;
    if (!record.name.empty()) {
      if (!scratch_.empty()) scratch_ += '/';
      scratch_ += record.name;
    }
  }
  sink_.on_record(record, scratch_);
  if ((record.mask & IN_UNMOUNT) != 0) {
    // The directory is still in the tree, only its volume is not: what is known of it is kept.
    table_.retire(record.wd);
    table_.unbind(dir);
    check_root_soon_ = true;
    return;
  }
  if ((record.mask & IN_IGNORED) != 0) {
    on_lost_wd(dir);
    return;
  }
  if (record.name.empty()) {
    if (dir == kRootDir && (record.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
      check_root_soon_ = true;
    }
    return;
  }
  if ((record.mask & IN_ISDIR) != 0) {
    if (options_.recursive) on_directory_record(record, dir);
    return;
  }
  if ((record.mask & (IN_MOVED_FROM | IN_MOVED_TO)) != 0) {
    sink_.on_half((record.mask & IN_MOVED_FROM) != 0, record.cookie, dir, record.name, scratch_,
                  false);
    return;
  }
  RawEvent event;
  event.mask = record.mask;
  event.dir = dir;
  event.name = record.name;
  event.path = scratch_;
  event.position = position;
  sink_.on_raw(event);
}

void Watcher::on_directory_record(const Record& record, DirId dir) {
  const DirId child = table_.child(dir, record.name);
  if ((record.mask & IN_MOVED_FROM) != 0) {
    const std::string path = scratch_;
    // Where directories were exchanged, or the name is in use again, this record is about another
    // one than the one we have there by now.
    Stat there;
    if (child != kNoDir &&
        !(fs_.stat(root(), path, there) == 0 && there.inode == table_.at(child).inode &&
          there.dev == table_.at(child).dev)) {
      detach(child);
    }
    sink_.on_half(true, record.cookie, dir, record.name, path, true);
  } else if ((record.mask & IN_MOVED_TO) != 0) {
    const std::string path = scratch_;
    sink_.on_half(false, record.cookie, dir, record.name, path, true);
  } else if ((record.mask & (IN_CREATE | IN_ATTRIB)) != 0) {
    // ATTRIB: it may have become readable.
    Stat found;
    if (child != kNoDir && table_.at(child).wd >= 0 && fs_.stat(root(), scratch_, found) == 0 &&
        found.inode == table_.at(child).inode && found.dev == table_.at(child).dev) {
      return;  // taken in already, by the listing of its parent
    }
    if (child == kNoDir && (record.mask & IN_ATTRIB) != 0) return;
    take_in(dir, record.name, Origin::kNewDirectory, {});
  } else if ((record.mask & IN_DELETE) != 0 && child != kNoDir) {
    Stat found;
    const int error = fs_.stat(root(), scratch_, found);
    if (is_absence(-error)) {
      if (open_directory(dir) >= 0) drop(child);
    } else if (error == 0 && found.inode != table_.at(child).inode) {
      take_in(dir, record.name, Origin::kNewDirectory, {});
    }
  }
}

/// The kernel has removed a watch that we had not: its directory is gone.
void Watcher::on_lost_wd(DirId dir) {
  table_.unbind(dir);
  if (dir == kRootDir) {
    check_root_soon_ = true;
    return;
  }
  if (table_.at(dir).detached) {
    drop(dir);
    return;
  }
  // Its place may hold another directory by now, or nothing; begin() finds out.
  take_in(table_.at(dir).parent, table_.at(dir).name, Origin::kNewDirectory, {});
}

void Watcher::moved(DirId from_dir, std::string_view from_name, std::string_view from_path,
                    DirId to_dir, std::string_view to_name, bool is_directory) {
  if (!is_directory) {
    std::string path;
    RawEvent event;
    event.kind = RawEvent::Kind::kMoved;
    event.from_dir = from_dir;
    event.from_name = from_name;
    event.from_path = from_path;
    event.dir = to_dir;
    event.name = to_name;
    if (this->path(to_dir, to_name, path)) event.path = path;
    sink_.on_raw(event);
    return;
  }
  const auto limbo = std::find_if(limbo_.rbegin(), limbo_.rend(), [&](const Limbo& at) {
    return at.from_dir == from_dir && at.name == from_name && is_valid(at.self) &&
           table_.at(at.self.dir).detached;
  });
  if (limbo != limbo_.rend()) {
    const DirId dir = limbo->self.dir;
    limbo_.erase(std::next(limbo).base());
    const DirId there = table_.child(to_dir, to_name);
    if (there != kNoDir && there != dir) detach(there);  // an empty one was replaced
    if (!table_.at(to_dir).alive || table_.is_below(to_dir, dir)) {
      drop(dir);
    } else {
      table_.attach(dir, to_dir, to_name);
      table_changed();
    }
  }
  if (table_.at(to_dir).alive) take_in(to_dir, to_name, Origin::kNewDirectory, from_path);
}

void Watcher::arrived(DirId dir, std::string_view name, std::string_view from_path,
                      bool is_directory) {
  if (is_directory) {
    if (table_.at(dir).alive) take_in(dir, name, Origin::kNewDirectory, from_path);
    return;
  }
  std::string path;
  RawEvent event;
  event.kind = RawEvent::Kind::kArrived;
  event.dir = dir;
  event.name = name;
  event.from_path = from_path;
  if (this->path(dir, name, path)) event.path = path;
  sink_.on_raw(event);
}

void Watcher::left(DirId dir, std::string_view name, bool is_directory) {
  if (is_directory) {
    for (Limbo& limbo : limbo_) {
      if (limbo.from_dir == dir && limbo.name == name) limbo.until = now_.mono;
    }
    return;
  }
  std::string path;
  RawEvent event;
  event.kind = RawEvent::Kind::kLeft;
  event.dir = dir;
  event.name = name;
  if (this->path(dir, name, path)) event.path = path;
  sink_.on_raw(event);
}

// --- the tree
// --------------------------------------------------------------------------------------

bool Watcher::is_valid(const Ref& ref) const {
  return ref.dir < table_.limit() && table_.at(ref.dir).alive &&
         table_.at(ref.dir).generation == ref.generation;
}

const std::string* Watcher::dir_path(DirId dir) {
  if (dir != cached_dir_) {
    cached_dir_ = table_.path(dir, cached_path_) ? dir : kNoDir;
    if (cached_dir_ == kNoDir) return nullptr;
  }
  return &cached_path_;
}

/// A descriptor of this very directory, for this turn; -1 if its path does not lead to it just now:
/// while renames are in the queue it may lead to another, or nowhere.
int Watcher::open_directory(DirId dir) {
  // What is being listed is open already.
  for (const Lister* lister : {&scan_lister_, &fresh_lister_}) {
    if (*lister && lister->dir == dir) return lister->handle;
  }
  if (opened_ >= 0 && opened_dir_ == dir) return opened_;
  close_directory();
  const std::string* path = dir_path(dir);
  if (path == nullptr || root() < 0) return -1;
  if (dir == kRootDir) return root();
  const int handle = fs_.open_directory(root(), *path);
  if (handle < 0) return -1;
  Stat stat;
  const auto& known = table_.at(dir);
  if (fs_.stat(handle, "", stat) != 0 || stat.inode != known.inode || stat.dev != known.dev) {
    fs_.close(handle);
    return -1;
  }
  opened_ = handle;
  opened_dir_ = dir;
  return handle;
}

void Watcher::close_directory() {
  if (opened_ >= 0) fs_.close(std::exchange(opened_, -1));
}

void Watcher::table_changed() {
  cached_dir_ = kNoDir;
  close_directory();
}

std::vector<DirId> Watcher::subtree(DirId top) const {
  std::vector<DirId> all{top};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (DirId child = table_.at(all[i]).first_child; child != kNoDir;
         child = table_.at(child).next_sibling) {
      all.push_back(child);
    }
  }
  return all;
}

void Watcher::detach(DirId dir) {
  const auto& self = table_.at(dir);
  limbo_.push_back({ref(dir), self.parent, self.name, now_.mono + kLimbo});
  table_.detach(dir);
  table_changed();
}

void Watcher::drop(DirId top) {
  std::vector<DirId> all = subtree(top);
  for (auto dir = all.rbegin(); dir != all.rend(); ++dir) {
    const int wd = table_.at(*dir).wd;
    if (wd >= 0) {
      table_.retire(wd);
      notifier_->remove_watch(wd);
    }
    if (scan_lister_.dir == *dir) close(scan_lister_);
    if (fresh_lister_.dir == *dir) close(fresh_lister_);
    unwatched_.erase(*dir);
    RawEvent event;
    event.kind = RawEvent::Kind::kDirGone;
    event.dir = *dir;
    sink_.on_raw(event);
    table_.remove(*dir);
  }
  table_changed();
}

/// Takes the watches away; directories and what is known below them stay.
void Watcher::unwatch(DirId top) {
  for (const DirId dir : subtree(top)) {
    const int wd = table_.at(dir).wd;
    if (wd < 0) continue;
    table_.retire(wd);
    table_.unbind(dir);
    notifier_->remove_watch(wd);
  }
}

void Watcher::take_in(DirId parent, std::string_view name, Origin origin, std::string_view from) {
  Task task;
  task.parent = ref(parent);
  task.name = name;
  task.origin = origin;
  task.from = from;
  fresh_.push_back(std::move(task));
}

/// Gives an open directory its number and its watch. What the kernel says (wd, inode) is the truth;
/// a table that says otherwise is corrected. kNoDir if that cannot be done now.
DirId Watcher::arm(DirId parent, const std::string& name, int handle, const Stat& stat,
                   const std::string& path, std::string& moved_from) {
  int wd = -1;
  int error = 0;
  if (notifier_ != nullptr) {
    wd = notifier_->add_watch(
        handle, options_.mask | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB);
    if (wd < 0) error = -wd;
  }
  const DirId there = table_.child(parent, name);
  const DirId known = wd >= 0 ? table_.by_wd(wd) : kNoDir;
  DirId dir = there;
  if (known != kNoDir && known != there) {
    // We knew this directory under another name.
    if (known == kRootDir || table_.is_below(parent, known)) {
      rescan("inconsistent", Origin::kRescan);
      return kNoDir;
    }
    if (moved_from.empty()) table_.path(known, moved_from);
    if (there != kNoDir) detach(there);
    table_.attach(known, parent, name);
    dir = known;
  } else if (there != kNoDir && table_.at(there).wd >= 0 && wd >= 0 && table_.at(there).wd != wd) {
    // Another directory stood here; it may turn up elsewhere.
    detach(there);
    dir = table_.add(parent, name);
  } else if (there == kNoDir) {
    dir = table_.add(parent, name);
  }
  table_changed();
  if (wd >= 0) {
    if (table_.at(dir).wd != wd) table_.bind(dir, wd);
    unwatched_.erase(dir);
  } else if (notifier_ != nullptr && error != EACCES) {
    unwatched_.insert(dir);
  }
  if (error != 0) {
    const bool limit = error == ENOSPC;
    degraded(error == EACCES ? "unreadable"
             : limit         ? "watch_limit"
                             : "not_watched",
             limit ? "" : path,
             describe("inotify_add_watch", join(options_.root, path), error) + ": " +
                 (limit ? std::to_string(table_.watched()) + " watches are in use by this watch; "
                        : "") +
                 advice(error));
  }
  table_.at(dir).inode = stat.inode;
  table_.at(dir).dev = stat.dev;
  table_.at(dir).armed = scan_.number;
  if (stat.dev != table_.at(kRootDir).dev && !others_.contains(stat.dev)) {
    others_[stat.dev] = fs_.traits(handle);
  }
  // Writes of other machines give no events: look from time to time as well.
  if (!traits_of(dir).local && notifier_ != nullptr) unwatched_.insert(dir);
  return dir;
}

void Watcher::not_there(DirId parent, const std::string& name, int error, const std::string& path) {
  if (is_absence(error)) {
    const DirId child = table_.child(parent, name);
    if (child != kNoDir && open_directory(parent) >= 0) drop(child);
    return;
  }
  degraded("unreadable", path,
           describe("openat", join(options_.root, path), error) + ": " + advice(error));
}

void Watcher::degraded(std::string_view reason, std::string_view path, std::string detail) {
  // One reason can concern many paths: each is told, but none twice, and not without end.
  constexpr std::size_t kMostTold = 1000;
  std::string key = std::string(reason) + '\n' + std::string(path);
  if (told_.size() >= kMostTold || !told_.insert(std::move(key)).second) return;
  Value::Map data;
  data.emplace_back("reason", reason);
  if (!path.empty()) data.emplace_back("directory", to_utf8(path));
  data.emplace_back("detail", to_utf8(detail));
  sink_.on_status("degraded", std::move(data));
}

// --- listing
// ---------------------------------------------------------------------------------------

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
  lister.handle = fs_.open_directory(root(), lister.path);
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
      check_root_soon_ = true;
      close(lister);
      return false;
    }
    if (task.arm) watch(kRootDir, lister.handle, lister.path);
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
    degraded("unreadable", lister.path,
             describe("open", join(options_.root, lister.path), error) + ": " + advice(error));
    close(lister);
    return false;
  }
  lister.number = ++listings_;
  lister.absence_counts = absence_counts;
  lister.task = std::move(task);
  if (lister.task.files) table_.at(lister.dir).listed = scan_.number;
  return true;
}

void Watcher::watch(DirId dir, int handle, const std::string& path) {
  table_.at(dir).armed = scan_.number;
  if (notifier_ == nullptr) return;
  std::uint32_t mask =
      options_.mask | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
  if (dir == kRootDir) mask |= IN_DELETE_SELF | IN_MOVE_SELF;
  const int wd = notifier_->add_watch(handle, mask);
  if (wd >= 0) {
    if (table_.at(dir).wd != wd) table_.bind(dir, wd);
    unwatched_.erase(dir);
    return;
  }
  unwatched_.insert(dir);
  degraded(wd == -ENOSPC ? "watch_limit" : "not_watched", "",
           describe("inotify_add_watch", join(options_.root, path), -wd) + ": " + advice(-wd));
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
          describe("getdents64", join(options_.root, lister.path), -more) + ": " + advice(-more));
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
    if (fs_.stat(root(), lister.path, stat) == 0) {
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
      just_listed_ = true;
      sink_.on_raw(event);
      just_listed_ = false;
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
      const int error = fs_.stat(root(), path, stat);
      if (is_absence(-error)) {
        if (open_directory(dir) >= 0) drop(child);
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

int Watcher::run_scan(int units) {
  while (units > 0 && scan_.phase != Scan::Phase::kIdle) {
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
        task.files = false;
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
    if (scan_.cursor >= table_.limit()) {
      scan_.phase = Scan::Phase::kIdle;
      if (scan_.origin != Origin::kPoll) last_scan_end_ = now_.mono;
      sink_.on_scanned(scan_.origin, scan_.reason, now_.mono - scan_.started);
      break;
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
    task.subdirectories = false;
    units -= kUnitsPerDirectory;
    begin(scan_lister_, std::move(task), scan_.absence_counts);
  }
  return units;
}

bool Watcher::slice(int units) {
  const bool work = !fresh_.empty() || fresh_lister_ || scan_lister_ || rescan_due_ ||
                    scan_.phase != Scan::Phase::kIdle;
  if (!work || root() < 0) return false;
  units = run_fresh(units);
  if (rescan_due_ && scan_.phase == Scan::Phase::kIdle && now_.mono >= scan_due_at()) {
    begin_scan(*std::exchange(rescan_due_, std::nullopt));
  }
  units = run_scan(units);
  return units <= 0;
}

void Watcher::rescan(std::string_view reason, Origin origin, bool absence_counts) {
  // While one runs, any number of doubts leave exactly one more due.
  if (!attached_) return;
  if (rescan_due_) {
    // A poll must not hide a stronger reason.
    if (rescan_due_->origin == Origin::kPoll) {
      rescan_due_->reason = reason;
      rescan_due_->origin = origin;
    }
    rescan_due_->absence_counts = rescan_due_->absence_counts && absence_counts;
    return;
  }
  rescan_due_ = Due{std::string(reason), origin, absence_counts, now_.mono};
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
  scan_.phase = Scan::Phase::kArm;
  scan_.started = now_.mono;
  scan_.files = 0;
  scan_.stack.clear();
  Task task;
  task.self = ref(kRootDir);
  task.origin = due.origin;
  scan_.stack.push_back(std::move(task));
}

// --- the root, and time
// ----------------------------------------------------------------------------

void Watcher::adopt(int handle, const Stat& stat) {
  close_root();
  root_ = handle;
  attached_ = true;
  root_was_mount_ = stat.mount_root;
  if (!stat.mount_root) plain_roots_.emplace(stat.dev, stat.inode);
  traits_ = fs_.traits(root_);
  table_.at(kRootDir).inode = stat.inode;
  table_.at(kRootDir).dev = stat.dev;
  mounts_ = fs_.mounts_below(options_.root);
  const bool again = std::exchange(ever_opened_, true);
  if (lost_told_) {
    lost_told_ = false;
    sink_.on_status("restored", {});
  }
  if (again) {
    rescan("restored", Origin::kRescan, false);
  } else {
    begin_scan({"startup", Origin::kStartup, true, now_.mono});
  }
}

void Watcher::lose(std::string_view reason) {
  if (!lost_told_) {
    lost_told_ = true;
    Value::Map data;
    data.emplace_back("reason", reason);
    sink_.on_status("lost", std::move(data));
  }
  close_root();
  if (!std::exchange(attached_, false)) return;
  // What is known of the files stays: a root that went away is not the removal of all its files.
  close(scan_lister_);
  close(fresh_lister_);
  fresh_.clear();
  scan_.stack.clear();
  scan_.phase = Scan::Phase::kIdle;
  rescan_due_.reset();
  unwatch(kRootDir);
}

/// The root's descriptor, opened anew in every turn that needs it: one that is kept would keep its
/// volume from being unmounted. -1 if the path does not lead to our root just now.
int Watcher::root() {
  if (root_ >= 0 || !attached_) return root_;
  const int handle = fs_.open_root(options_.root);
  if (handle < 0) {
    check_root_soon_ = true;
    return -1;
  }
  Stat stat;
  const auto& known = table_.at(kRootDir);
  if (fs_.stat(handle, "", stat) != 0 || stat.inode != known.inode || stat.dev != known.dev) {
    check_root_soon_ = true;
    fs_.close(handle);
    return -1;
  }
  root_ = handle;
  return root_;
}

void Watcher::close_root() {
  close_directory();
  if (root_ >= 0) fs_.close(std::exchange(root_, -1));
}

void Watcher::check_root() {
  next_check_ = now_.mono + kRootCheck;
  check_root_soon_ = false;
  const int handle = fs_.open_root(options_.root);
  if (handle < 0) {
    lose(handle == -ENOENT ? "missing" : handle == -ENOTDIR ? "not_a_directory" : "unreadable");
    return;
  }
  Stat stat;
  if (fs_.stat(handle, "", stat) != 0) {
    fs_.close(handle);
    return;
  }
  const auto& known = table_.at(kRootDir);
  if (attached_) {
    if (stat.inode == known.inode && stat.dev == known.dev) {
      fs_.close(handle);
      check_mounts();
      return;
    }
    lose(stat.dev == known.dev ? "replaced" : stat.mount_root ? "mounted_over" : "unmounted");
  }
  // An empty directory where a volume was mounted is not the watched tree.
  if (ever_opened_ && root_was_mount_ && !stat.mount_root &&
      !plain_roots_.contains({stat.dev, stat.inode})) {
    fs_.close(handle);
    return;
  }
  adopt(handle, stat);
}

/// Mounting and unmounting below the root gives no event at all, or too late.
void Watcher::check_mounts() {
  std::string mounts = fs_.mounts_below(options_.root);
  if (mounts == mounts_) return;
  const auto lines = [](const std::string& text) {
    std::set<std::string> result;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      result.insert(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return result;
  };
  const std::set<std::string> before = lines(mounts_);
  const std::set<std::string> after = lines(mounts);
  // A line is "<device> <path relative to the root>".
  const auto path_of = [](const std::string& line) { return line.substr(line.find(' ') + 1); };
  std::set<std::string> mounted;
  for (const std::string& line : after) mounted.insert(path_of(line));
  for (const std::string& line : before) {
    const std::string path = path_of(line);
    if (path.empty() || mounted.contains(path) || !lost_mounts_.insert(path).second) continue;
    DirId dir = kRootDir;
    for (std::size_t begin = 0; begin < path.size() && dir != kNoDir;) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      dir = table_.child(dir, std::string_view(path).substr(begin, end - begin));
      begin = end + 1;
    }
    if (dir != kNoDir) unwatch(dir);
    Value::Map data;
    data.emplace_back("reason", "unmounted");
    data.emplace_back("directory", to_utf8(path));
    sink_.on_status("lost", std::move(data));
  }
  for (const std::string& line : after) {
    const std::string path = path_of(line);
    if (lost_mounts_.erase(path) == 0) continue;
    Value::Map data;
    data.emplace_back("directory", to_utf8(path));
    sink_.on_status("restored", std::move(data));
  }
  mounts_ = std::move(mounts);
  rescan("mount", Origin::kRescan, false);
}

void Watcher::on_time() {
  if (now_.mono >= next_check_ || check_root_soon_) check_root();
  for (std::size_t i = 0; i < limbo_.size();) {
    if (limbo_[i].until > now_.mono) {
      ++i;
      continue;
    }
    const Ref self = limbo_[i].self;
    limbo_.erase(limbo_.begin() + static_cast<std::ptrdiff_t>(i));
    if (is_valid(self) && table_.at(self.dir).detached) drop(self.dir);
  }
  if (now_.mono >= next_poll_ && attached_) {
    next_poll_ = now_.mono + options_.poll_interval;
    if (notifier_ == nullptr) {
      if (scan_.phase == Scan::Phase::kIdle) rescan("poll", Origin::kPoll);
    } else if (fresh_.empty()) {
      for (const DirId dir : unwatched_) {
        Task task;
        task.self = ref(dir);
        task.origin = Origin::kPoll;
        fresh_.push_back(std::move(task));
      }
    }
  }
}

void Watcher::end_turn(bool announced) {
  close_root();
  const bool noted = std::exchange(turn_noted_, false) || announced;
  if (noted && notifier_ != nullptr) turn_ends_.emplace_back(turn_, notifier_->queued_bytes());
}

std::optional<Nanos> Watcher::deadline() const {
  Nanos first = check_root_soon_ ? now_.mono : next_check_;
  for (const Limbo& limbo : limbo_) first = std::min(first, limbo.until);
  if (attached_) {
    if (notifier_ == nullptr || !unwatched_.empty()) first = std::min(first, next_poll_);
    if (rescan_due_ && scan_.phase == Scan::Phase::kIdle) {
      first = std::min(first, std::max(now_.mono, scan_due_at()));
    }
  }
  return first;
}

// --- Files
// -----------------------------------------------------------------------------------------

bool Watcher::path(DirId dir, std::string_view name, std::string& out) {
  if (dir >= table_.limit() || !table_.at(dir).alive) return false;
  const std::string* directory = dir_path(dir);
  if (directory == nullptr) return false;
  out = *directory;
  if (!out.empty() && !name.empty()) out += '/';
  out += name;
  return true;
}

int Watcher::stat(DirId dir, std::string_view name, Stat& out) {
  if (dir >= table_.limit() || !table_.at(dir).alive) return EAGAIN;
  const int handle = open_directory(dir);
  return handle < 0 ? EAGAIN : -fs_.stat(handle, std::string(name), out);
}

Files::Writer Watcher::writer(DirId dir, std::string_view name, Stat& out) {
  if (dir >= table_.limit() || !table_.at(dir).alive) return Writer::kChanged;
  if (!traits_of(dir).leases) {
    degraded("no_lease", "",
             "leases on " + traits_of(dir).type +
                 " do not tell whether a writer has a file open: "
                 "the quiet time decides");
    return Writer::kUnknown;
  }
  const int handle = open_directory(dir);
  if (handle < 0) return Writer::kChanged;
  int error = 0;
  const Writer result = fs_.writer(handle, std::string(name), just_listed_, out, error);
  if (result == Writer::kUnknown) {
    std::string relative;
    path(dir, name, relative);
    degraded("no_lease", "",
             describe("fcntl(F_SETLEASE)", join(options_.root, relative), error) +
                 ": whether a writer has a file open cannot be seen, the quiet time decides; run "
                 "the daemon as the files' owner, or give it CAP_LEASE and the right to read");
  }
  return result;
}

const FsTraits& Watcher::traits_of(DirId dir) const {
  const auto other = others_.find(table_.at(dir).dev);
  return other == others_.end() ? traits_ : other->second;
}

bool Watcher::caught_up_with(std::uint32_t turn) const {
  if (turn == turn_) return notifier_ == nullptr;
  for (const auto& [number, end] : turn_ends_) {
    if (number == turn) return handled_ >= end;
  }
  return true;
}

bool Watcher::later_write_shows(const Stat& stat) {
  // CLOCK_REALTIME_COARSE stamps files; it stands still for up to 10 ms (CONFIG_HZ=100).
  constexpr Nanos kTick = 10 * kMillisecond;
  if (traits_.fine_times && others_.empty()) return true;
  const Nanos stamp = fs_.stamp_clock();
  return stat.mtime < stamp || stat.mtime > stamp + kTick;
}

bool Watcher::queued_before_end_of(std::uint32_t turn, std::uint64_t position) const {
  if (turn == turn_) return true;
  for (const auto& [number, end] : turn_ends_) {
    if (number == turn) return position < end;
  }
  return false;
}

}  // namespace inotifier
