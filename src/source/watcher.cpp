#include "source/watcher.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {
Watcher::Watcher(WatchOptions options, Fs& fs, SharedInstance* instance, Renames& renames,
                 Sink& sink)
    : EventSource(sink),
      options_(std::move(options)),
      fs_(fs),
      share_(instance, *this),
      renames_(renames),
      number_(renames.add(*this)),
      root_(options_.root, fs),
      tree_(options_, fs, share_ ? &share_ : nullptr, root_, rescans_, out_),
      scanner_(options_, fs, root_, tree_, rescans_, out_),
      probes_(tree_, fs) {}

Watcher::~Watcher() {
  renames_.remove(number_);
  if (!share_) return;
  if (!share_.is_alone()) tree_.unwatch_all();  // otherwise the instance goes, too
  share_.move(nullptr, tree_.table().take_retired());
}

void Watcher::set_options(WatchOptions options) {
  for (const auto& part : parts_) options_.stop_poller(part.first);
  parts_.clear();  // they begin again with the new options
  options_ = std::move(options);
  rescan("reload", Origin::kRescan);
}

void Watcher::start(const Now& now) {
  now_ = now;
  next_poll_ = now_.mono + options_.poll_interval;
  if (tree_.table().at(kRootDir).mounted) root_.expect_mount();
  check_root();
}

void Watcher::begin_turn(const Now& now) {
  now_ = now;
  tree_.begin_turn(now.mono);
  scanner_.begin_turn(now.mono);
  for (const auto& [dir, name] : probes_.answered()) {
    RawEvent event;
    event.kind = RawEvent::Kind::kAnswered;
    event.dir = dir;
    event.name = name;
    out_.sink().on_raw(event);
  }
}

void Watcher::rescan(std::string_view reason, Origin origin, bool absence_counts) {
  probes_.on_doubt();
  for (auto& part : parts_) part.second.hurry();
  if (root_.attached() && !parts_.contains(kRootDir)) {
    rescans_.ask(reason, origin, absence_counts);
  }
}

// --- records

bool Watcher::holds(int wd) const {
  const WatchTable& table = tree_.table();
  return table.by_wd(wd) != kNoDir || table.is_retired(wd);
}

bool Watcher::is_there(int wd) {
  const DirId dir = tree_.table().by_wd(wd);
  std::string path;
  return dir != kNoDir && tree_.table().path(dir, path) && tree_.is_at(dir, path);
}

void Watcher::on_taken(int wd) {
  WatchTable& table = tree_.table();
  const DirId dir = table.by_wd(wd);
  if (dir == kNoDir) return;
  table.retire(wd);
  table.unbind(dir);
  std::string path;
  // Unless records have told already that it left, or a directory above.
  if (table.path(dir, path)) rescan("watch_taken", Origin::kRescan);
}

/// An instance gives a directory one wd, and another watch of ours has it: what both see needs two.
void Watcher::change_instance() {
  int error = 0;
  SharedInstance* other =
      options_.other_instance ? options_.other_instance(share_.queued_bytes(), error) : nullptr;
  if (other == nullptr) {
    out_.degraded({Degraded::Reason::kInstanceLimit, "",
                   describe("inotify_init1", root_.path(), error) +
                       ": a directory is in another watch, too, and needs an inotify instance of "
                       "its own here; raise fs.inotify.max_user_instances (sysctl "
                       "fs.inotify.max_user_instances=1024). Until then it is polled"});
    return;
  }
  tree_.unwatch_all();
  share_.move(other, tree_.table().take_retired());
  if (scanner_.begin_anew()) return probes_.on_doubt();
  rescan("other_instance", Origin::kRescan);
}

void Watcher::on_record(const Record& record, std::uint64_t position) {
  // Before any look-up: an overflow has no wd (inotify(7)).
  if ((record.mask & IN_Q_OVERFLOW) != 0) {
    out_.sink().on_record(record, {});
    rescan("overflow", Origin::kOverflow);
    return;
  }
  WatchTable& table = tree_.table();
  const DirId dir = table.by_wd(record.wd);
  if (dir == kNoDir) {  // it is retired
    if ((record.mask & IN_IGNORED) != 0) table.ignored(record.wd);
    return;
  }
  std::string path;  // empty while a directory above is on its way elsewhere
  this->path(dir, record.name, path);
  out_.sink().on_record(record, path);
  if ((record.mask & IN_UNMOUNT) != 0) {
    // The directory is still in the tree, only its volume is not: what is known of it is kept.
    table.retire(record.wd);
    table.unbind(dir);
    root_.doubt();
    // The same volume may be there again by now.
    if (dir != kRootDir) rescan("mount", Origin::kRescan, false);
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
  probes_.on_record(dir, record.name);
  if ((record.mask & (IN_MOVED_FROM | IN_MOVED_TO)) != 0) {
    return on_half(record, dir, path);
  }
  RawEvent event;
  event.mask = record.mask;
  event.dir = dir;
  event.name = record.name;
  event.path = path;
  event.position = position;
  out_.sink().on_raw(event);
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
  const DirId child = tree_.table().child(dir, record.name);
  if ((record.mask & IN_MOVED_FROM) != 0) {
    // Where directories were exchanged, or the name is in use again, this record is about another
    // one than the one we have there by now.
    if (child != kNoDir && !tree_.is_at(child, path)) tree_.detach(child);
    on_half(record, dir, path);
  } else if ((record.mask & IN_MOVED_TO) != 0) {
    on_half(record, dir, path);
  } else if ((record.mask & (IN_CREATE | IN_ATTRIB)) != 0) {
    // ATTRIB: it may have become readable.
    if (child == kNoDir && (record.mask & IN_ATTRIB) != 0) return;
    // It may have been taken in already, by the listing of its parent.
    if (child != kNoDir && tree_.table().at(child).wd >= 0 && tree_.is_at(child, path)) return;
    scanner_.take_in(dir, record.name, Origin::kNewDirectory);
  } else if ((record.mask & IN_DELETE) != 0 && child != kNoDir) {
    Stat found;
    const int error = fs_.stat(root_.open(), path, found);
    if (is_absence(-error)) {
      if (tree_.open().open(dir) >= 0) tree_.drop(child);
    } else if (error == 0 && found.inode != tree_.table().at(child).inode) {
      scanner_.take_in(dir, record.name, Origin::kNewDirectory);
    }
  }
}

/// The kernel has removed a watch that we had not: its directory is gone.
void Watcher::on_lost_wd(DirId dir) {
  WatchTable& table = tree_.table();
  table.unbind(dir);
  if (dir == kRootDir) return root_.doubt();
  if (table.at(dir).detached) return tree_.drop(dir);
  // Its place may hold another directory by now, or nothing; the listing finds out.
  scanner_.take_in(table.at(dir).parent, table.at(dir).name, Origin::kNewDirectory);
}

void Watcher::on_moved(const MoveHalf& from, const MoveHalf& to) {
  if (to.is_directory) {
    tree_.on_moved(from, to);
    return take_in(to, from.path);
  }
  RawEvent event;
  event.kind = RawEvent::Kind::kMoved;
  event.from_dir = from.dir;
  event.from_name = from.name;
  event.from_path = from.path;
  send(event, to);
}

void Watcher::on_arrived(const MoveHalf& to, std::string_view from_path) {
  if (to.is_directory) return take_in(to, from_path);
  RawEvent event;
  event.kind = RawEvent::Kind::kArrived;
  event.from_path = from_path;
  send(event, to);
}

void Watcher::on_left(const MoveHalf& from) {
  if (from.is_directory) return tree_.on_left(from);
  RawEvent event;
  event.kind = RawEvent::Kind::kLeft;
  send(event, from);
}

void Watcher::take_in(const MoveHalf& to, std::string_view from_path) {
  if (tree_.table().is_alive(to.dir)) {
    scanner_.take_in(to.dir, to.name, Origin::kNewDirectory, from_path);
  }
}

/// `event` of the file that a half names, under the path that leads to it now.
void Watcher::send(RawEvent event, const MoveHalf& at) {
  std::string path;
  event.dir = at.dir;
  event.name = at.name;
  if (this->path(at.dir, at.name, path)) event.path = path;
  out_.sink().on_raw(event);
}

// --- the root, and time

/// From time to time, and when in doubt.
void Watcher::check_root() {
  next_check_ = next_root_check(now_.mono, number_, renames_.watches());
  const Root::Change change = root_.check(now_.mono);
  if (change.shortage != 0) {
    out_.degraded(
        {Degraded::Reason::kShortage, "",
         describe("open", root_.path(), change.shortage) + ": " + advice(change.shortage)});
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
  tree_.change_root(root_.stat());
  if (options_.require_lease && !root_.traits().leases) tell_no_lease(root_.traits(), true);
  const bool was_lost = std::exchange(lost_told_, false);
  if (was_lost) out_.sink().on_status("restored", {});
  if (!root_.traits().local && options_.start_poller) return tree_.set_root_remote();
  if (scanner_.ever_scanned()) {
    rescan("restored", Origin::kRescan);
  } else {
    // It came late: what is not there may be still to come.
    scanner_.begin_scan({"startup", Origin::kStartup, !was_lost});
  }
}

void Watcher::tell_no_lease(const FsTraits& traits, bool of_root) {
  out_.degraded({Degraded::Reason::kNoLease, "",
                 "leases on " + traits.type +
                     " do not tell whether a writer has a file open: the quiet time decides",
                 of_root});
}

/// What is known of the files stays: a root that went away is not the removal of all its files.
void Watcher::lose(std::string_view reason) {
  if (!std::exchange(lost_told_, true)) {
    Value::Map data;
    data.emplace_back("reason", reason);
    out_.sink().on_status("lost", std::move(data));
  }
  scanner_.stop();
  tree_.open().close();
  rescans_.clear();
  tree_.unwatch(kRootDir);
  update_parts();
}

/// Mounting and unmounting below the root gives no event at all, or too late.
void Watcher::check_mounts() {
  const auto changes = root_.mount_changes();
  if (!changes) return;
  for (const std::string& path : changes->gone) tree_.on_unmounted(path);
  for (const std::string& path : changes->mounted) tree_.on_mounted(path);
  rescan("mount", Origin::kRescan, false);
}

/// A poller for each remote volume, and none for what is none any more.
void Watcher::update_parts() {
  std::erase_if(parts_, [this](const auto& part) {
    if (tree_.remote().contains(part.first) && tree_.table().is(part.second.top())) return false;
    options_.stop_poller(part.first);
    return true;
  });
  if (!options_.start_poller) return;
  for (const DirId dir : tree_.remote()) {
    std::string path;
    if (parts_.contains(dir) || !tree_.table().path(dir, path)) continue;
    out_.degraded({Degraded::Reason::kPolled, path,
                   join(root_.path(), path) +
                       ": a network or FUSE file system: writes of other machines give no events "
                       "and leases do not tell; it is polled, and a file is finished when it was "
                       "quiet"});
    parts_.emplace(
        std::piecewise_construct, std::forward_as_tuple(dir),
        std::forward_as_tuple(tree_.table(), dir, options_.start_poller(dir, path), out_));
  }
}

/// The remote volume that a directory is on; null if it is a local one.
RemoteTree* Watcher::part_of(DirId dir) {
  if (parts_.empty()) return nullptr;
  for (; dir != kNoDir; dir = tree_.table().at(dir).parent) {
    const auto part = parts_.find(dir);
    if (part != parts_.end()) return &part->second;
  }
  return nullptr;
}

void Watcher::on_poll_result(const PollResult& result) {
  const auto part = parts_.find(result.part);
  if (part == parts_.end()) return;
  if (result.unmounted) return root_.doubt();  // the watch itself sees what is there instead
  RemoteTree& tree = part->second;
  const bool first = tree.round() == 1;
  polled_ = &tree;
  const bool ended = tree.on_poll_result(result, !first                ? Origin::kPoll
                                                 : scanner_.is_ready() ? Origin::kRescan
                                                                       : Origin::kStartup);
  polled_ = nullptr;
  if (!ended) return;
  if (first && result.part == kRootDir) scanner_.end_first_round(result.directories, tree.files());
  tree.end_round();
}

void Watcher::on_time() {
  if (tree_.take_conflict()) change_instance();
  // A root that was silent is there again as soon as it answers.
  if (now_.mono >= next_check_ || root_.doubtful() || root_.silent_since() != 0) check_root();
  tree_.on_time();
  update_parts();
  if (now_.mono < next_poll_ || !root_.attached()) return;
  next_poll_ = now_.mono + options_.poll_interval;
  if (share_) return scanner_.poll_unwatched();
  if (!scanner_.is_scanning()) rescan("poll", Origin::kPoll);
}

void Watcher::end_turn() {
  tree_.open().close();
  root_.close();
  probes_.end_turn();
}

std::optional<Nanos> Watcher::deadline() const {
  Nanos first = root_.doubtful() ? now_.mono : next_check_;
  first = std::min(first, tree_.deadline().value_or(first));
  if (!root_.attached()) return first;
  if (!share_ || !tree_.unwatched().empty()) first = std::min(first, next_poll_);
  if (rescans_.pending() && !scanner_.is_scanning()) {
    first = std::min(first, rescans_.due_at(now_.mono));
  }
  return first;
}

}  // namespace inotifier
