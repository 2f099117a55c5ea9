#include "source/watcher.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "source/watcher_internal.hpp"

namespace inotifier {
namespace {

constexpr Nanos kRootCheck = kSecond;

}  // namespace

Watcher::Watcher(Options options, Fs& fs, Notifier* notifier, Renames& renames, Sink& sink)
    : EventSource(sink),
      options_(std::move(options)),
      fs_(fs),
      notifier_(notifier),
      renames_(renames),
      number_(renames.add(*this)),
      root_(options_.root, fs) {}

Watcher::~Watcher() {
  renames_.remove(number_);
  close(scan_lister_);
  close(fresh_lister_);
  close_directory();
}

void Watcher::set_options(Options options) {
  options_ = std::move(options);
  rescan("reload", Origin::kRescan);
}

void Watcher::start(const Now& now) {
  now_ = now;
  next_poll_ = now_.mono + options_.poll_interval;
  if (table_.at(kRootDir).mounted) root_.expect_mount();
  check_root();
}

// --- records

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
  std::string path;  // empty while a directory above is on its way elsewhere
  this->path(dir, record.name, path);
  sink_.on_record(record, path);
  if ((record.mask & IN_UNMOUNT) != 0) {
    // The directory is still in the tree, only its volume is not: what is known of it is kept.
    table_.retire(record.wd);
    table_.unbind(dir);
    root_.doubt();
    return;
  }
  if ((record.mask & IN_IGNORED) != 0) {
    on_lost_wd(dir);
    return;
  }
  if (record.name.empty()) {
    if (dir == kRootDir && (record.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
      root_.doubt();
    }
    return;
  }
  if ((record.mask & IN_ISDIR) != 0) {
    if (options_.recursive) on_directory_record(record, dir, path);
    return;
  }
  if ((record.mask & (IN_MOVED_FROM | IN_MOVED_TO)) != 0) {
    return on_half(record, dir, path);
  }
  RawEvent event;
  event.mask = record.mask;
  event.dir = dir;
  event.name = record.name;
  event.path = path;
  event.position = position;
  sink_.on_raw(event);
}

void Watcher::on_half(const Record& record, DirId dir, const std::string& path) {
  const bool is_directory = (record.mask & IN_ISDIR) != 0;
  MoveHalf half{number_, dir, std::string(record.name), path, is_directory};
  if ((record.mask & IN_MOVED_FROM) != 0) {
    renames_.on_from(record.cookie, std::move(half), now_.mono);
  } else {
    renames_.on_to(record.cookie, std::move(half), now_.mono);
  }
}

void Watcher::on_directory_record(const Record& record, DirId dir, const std::string& path) {
  const DirId child = table_.child(dir, record.name);
  if ((record.mask & IN_MOVED_FROM) != 0) {
    // Where directories were exchanged, or the name is in use again, this record is about another
    // one than the one we have there by now.
    Stat there;
    if (child != kNoDir &&
        !(fs_.stat(root_.open(), path, there) == 0 && there.inode == table_.at(child).inode &&
          there.dev == table_.at(child).dev)) {
      detach(child);
    }
    on_half(record, dir, path);
  } else if ((record.mask & IN_MOVED_TO) != 0) {
    on_half(record, dir, path);
  } else if ((record.mask & (IN_CREATE | IN_ATTRIB)) != 0) {
    // ATTRIB: it may have become readable.
    Stat found;
    if (child != kNoDir && table_.at(child).wd >= 0 && fs_.stat(root_.open(), path, found) == 0 &&
        found.inode == table_.at(child).inode && found.dev == table_.at(child).dev) {
      return;  // taken in already, by the listing of its parent
    }
    if (child == kNoDir && (record.mask & IN_ATTRIB) != 0) return;
    take_in(dir, record.name, Origin::kNewDirectory, {});
  } else if ((record.mask & IN_DELETE) != 0 && child != kNoDir) {
    Stat found;
    const int error = fs_.stat(root_.open(), path, found);
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
    root_.doubt();
    return;
  }
  if (table_.at(dir).detached) {
    drop(dir);
    return;
  }
  // Its place may hold another directory by now, or nothing; begin() finds out.
  take_in(table_.at(dir).parent, table_.at(dir).name, Origin::kNewDirectory, {});
}

void Watcher::on_moved(const MoveHalf& from, const MoveHalf& to) {
  if (!to.is_directory) {
    RawEvent event;
    event.kind = RawEvent::Kind::kMoved;
    event.from_dir = from.dir;
    event.from_name = from.name;
    event.from_path = from.path;
    return send(event, to);
  }
  const auto limbo = std::find_if(limbo_.rbegin(), limbo_.rend(), [&](const Limbo& at) {
    return at.from_dir == from.dir && at.name == from.name && is_valid(at.self) &&
           table_.at(at.self.dir).detached;
  });
  if (limbo != limbo_.rend()) {
    const DirId dir = limbo->self.dir;
    limbo_.erase(std::next(limbo).base());
    const DirId there = table_.child(to.dir, to.name);
    if (there != kNoDir && there != dir) detach(there);  // an empty one was replaced
    if (!table_.at(to.dir).alive || table_.is_below(to.dir, dir)) {
      drop(dir);
    } else {
      table_.attach(dir, to.dir, to.name);
      was_at_.erase(dir);
      table_changed();
    }
  }
  if (table_.at(to.dir).alive) take_in(to.dir, to.name, Origin::kNewDirectory, from.path);
}

void Watcher::on_arrived(const MoveHalf& to, std::string_view from_path) {
  if (to.is_directory) {
    if (table_.at(to.dir).alive) take_in(to.dir, to.name, Origin::kNewDirectory, from_path);
    return;
  }
  RawEvent event;
  event.kind = RawEvent::Kind::kArrived;
  event.from_path = from_path;
  send(event, to);
}

void Watcher::on_left(const MoveHalf& from) {
  if (from.is_directory) {
    for (Limbo& limbo : limbo_) {
      if (limbo.from_dir == from.dir && limbo.name == from.name) limbo.until = now_.mono;
    }
    return;
  }
  RawEvent event;
  event.kind = RawEvent::Kind::kLeft;
  send(event, from);
}

/// `event` of the file that a half names, under the path that leads to it now.
void Watcher::send(RawEvent event, const MoveHalf& at) {
  std::string path;
  event.dir = at.dir;
  event.name = at.name;
  if (this->path(at.dir, at.name, path)) event.path = path;
  sink_.on_raw(event);
}

// --- the root, and time

/// Once a second, and when in doubt.
void Watcher::check_root() {
  next_check_ = now_.mono + kRootCheck;
  const Root::Change change = root_.check();
  if (change.shortage != 0) {
    degraded("shortage", "",
             describe("open", root_.path(), change.shortage) + ": " + advice(change.shortage));
    return;
  }
  if (!change.lost.empty()) lose(change.lost);
  if (change.found) {
    adopt();
  } else if (root_.attached()) {
    check_mounts();
  }
}

void Watcher::adopt() {
  table_.set_identity(kRootDir, root_.inode(), root_.dev(), root_.btime(), root_.is_mount());
  const bool was_lost = std::exchange(lost_told_, false);
  if (was_lost) sink_.on_status("restored", {});
  if (scan_.number > 0) {
    rescan("restored", Origin::kRescan, false);
  } else {
    // It came late: what is not there may be still to come.
    begin_scan({"startup", Origin::kStartup, !was_lost});
  }
}

/// What is known of the files stays: a root that went away is not the removal of all its files.
void Watcher::lose(std::string_view reason) {
  if (!std::exchange(lost_told_, true)) {
    Value::Map data;
    data.emplace_back("reason", reason);
    sink_.on_status("lost", std::move(data));
  }
  close(scan_lister_);
  close(fresh_lister_);
  close_directory();
  fresh_.clear();
  scan_.stack.clear();
  scan_.phase = Scan::Phase::kIdle;
  rescan_due_.reset();
  unwatch(kRootDir);
}

/// Mounting and unmounting below the root gives no event at all, or too late.
void Watcher::check_mounts() {
  const Root::Mounts changes = root_.mount_changes();
  if (changes.gone.empty() && changes.mounted.empty()) return;
  for (const std::string& path : changes.gone) {
    if (!lost_mounts_.insert(path).second) continue;
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
  for (const std::string& path : changes.mounted) {
    if (lost_mounts_.erase(path) == 0) continue;
    Value::Map data;
    data.emplace_back("directory", to_utf8(path));
    sink_.on_status("restored", std::move(data));
  }
  rescan("mount", Origin::kRescan, false);
}

void Watcher::on_time() {
  if (now_.mono >= next_check_ || root_.doubtful()) check_root();
  for (std::size_t i = 0; i < limbo_.size();) {
    // A scan may still find it.
    if (limbo_[i].until > now_.mono || scan_.phase != Scan::Phase::kIdle) {
      ++i;
      continue;
    }
    const Ref self = limbo_[i].self;
    limbo_.erase(limbo_.begin() + static_cast<std::ptrdiff_t>(i));
    if (is_valid(self) && table_.at(self.dir).detached) drop(self.dir);
  }
  if (now_.mono >= next_poll_ && root_.attached()) {
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
  close_directory();
  root_.close();
  const bool noted = std::exchange(turn_noted_, false) || announced;
  if (noted && notifier_ != nullptr) turn_ends_.emplace_back(turn_, notifier_->queued_bytes());
}

std::optional<Nanos> Watcher::deadline() const {
  Nanos first = root_.doubtful() ? now_.mono : next_check_;
  if (scan_.phase == Scan::Phase::kIdle) {
    for (const Limbo& limbo : limbo_) first = std::min(first, limbo.until);
  }
  if (root_.attached()) {
    if (notifier_ == nullptr || !unwatched_.empty()) first = std::min(first, next_poll_);
    if (rescan_due_ && scan_.phase == Scan::Phase::kIdle) {
      first = std::min(first, std::max(now_.mono, scan_due_at()));
    }
  }
  return first;
}

// --- Files

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

int Watcher::stat_path(std::string_view path, Stat& out) {
  const int root = root_.open();
  return root < 0 ? EAGAIN : -fs_.stat(root, std::string(path), out);
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
  const Writer result = fs_.writer(handle, std::string(name), out, error);
  if (result == Writer::kUnknown) {
    std::string relative;
    path(dir, name, relative);
    degraded("no_lease", "",
             describe("fcntl(F_SETLEASE)", join(root_.path(), relative), error) +
                 ": whether a writer has a file open cannot be seen, the quiet time decides; run "
                 "the daemon as the files' owner, or give it CAP_LEASE and the right to read");
  }
  return result;
}

const FsTraits& Watcher::traits_of(DirId dir) const {
  const auto other = others_.find(table_.at(dir).dev);
  return other == others_.end() ? root_.traits() : other->second;
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
  if (root_.traits().fine_times && others_.empty()) return true;
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
