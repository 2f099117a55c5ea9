#include "source/lister.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {

/// What the task names, by path. False: it is not there, on its way, or of no interest.
bool Lister::resolve(DirId& parent) {
  WatchTable& table = tree_.table();
  if (task_.self.dir != kNoDir) {
    if (!table.is(task_.self)) return false;
    parent = table.at(task_.self.dir).parent;
    task_.name = table.at(task_.self.dir).name;
    return table.path(task_.self.dir, path_);  // on its way, it is listed where it arrives
  }
  if (!table.is(task_.parent)) return false;
  parent = task_.parent.dir;
  if (!table.path(parent, path_)) return false;
  path_ = join(path_, task_.name);
  if (options_.enters(path_)) return true;
  on_hidden(parent, task_.name);
  const DirId child = table.child(parent, task_.name);
  if (child != kNoDir) tree_.drop(child);  // it got a name that is not ours to look into
  return false;
}

/// Number and watch of the directory that was opened.
bool Lister::identify(DirId parent) {
  WatchTable& table = tree_.table();
  Stat stat;
  const int error = fs_.stat(handle_, "", stat);
  if (error != 0) {
    if (passes(-error)) rescans_.ask("unreadable");
    return false;
  }
  const auto is = [&](DirId dir) {
    return table.at(dir).inode == stat.inode && table.at(dir).mount == stat.mount;
  };
  DirId dir = kRootDir;
  is_alias_ = false;
  if (parent == kNoDir) {
    if (!is(kRootDir)) {
      root_.doubt();
      return false;
    }
    if (task_.arm) tree_.arm_root(handle_);
  } else if (!task_.arm && task_.self.dir != kNoDir && is(task_.self.dir)) {
    dir = task_.self.dir;
  } else {
    if (stat.mount_root && !std::exchange(task_.late, true)) {
      // What a bind mount shows counts at its own place: that comes first.
      tasks_.push_front(task_);
      return false;
    }
    const Tree::Armed armed = tree_.arm(parent, task_.name, handle_, stat, path_, task_.from);
    if (armed.dir == kNoDir) return false;
    dir = armed.dir;
    is_alias_ = armed.is_alias;
  }
  dir_ = table.ref(dir);
  return true;
}

bool Lister::begin(ListTask task, bool absence_counts) {
  task_ = std::move(task);
  absence_counts_ = absence_counts;
  DirId parent = kNoDir;
  if (!resolve(parent)) return false;
  handle_ = fs_.open_directory(root_.open(), path_);
  if (handle_ < 0) {
    const int error = -std::exchange(handle_, -1);
    if (parent == kNoDir) {
      fail("openat", error);
    } else {
      tree_.not_there(parent, task_.name, error, path_);
    }
    return false;
  }
  if (!identify(parent)) {
    close();
    return false;
  }
  int error = 0;
  listing_ = fs_.list(handle_, error);
  if (!listing_) {
    fail("open", error);
    return false;
  }
  tree_.open().lend(dir_.dir, handle_);
  number_ = ++counter_;
  if (task_.files) tree_.table().at(dir_.dir).listed = tree_.scan().number;
  return true;
}

void Lister::fail(const char* call, int error) {
  if (is_absence(error)) return close();  // it was removed; its record tells
  out_.degraded({is_shortage(error) ? Degraded::Reason::kShortage : Degraded::Reason::kUnreadable,
                 path_, describe(call, join(root_.path(), path_), error) + ": " + advice(error)});
  if (passes(error)) rescans_.ask(is_shortage(error) ? "shortage" : "unreadable");
  close();
}

void Lister::close() {
  if (listing_ && tree_.table().is(dir_)) tree_.open().take_back(dir_.dir);
  listing_.reset();
  if (handle_ >= 0) fs_.close(std::exchange(handle_, -1));
}

void Lister::leave_files() {
  task_.files = false;
  if (tree_.table().is(dir_)) tree_.table().at(dir_.dir).listed = 0;
}

int Lister::advance(int units) {
  // Renames above it may have changed the path since the last slice. A directory that is on its way
  // is listed where it arrives, if it does.
  if (!tree_.table().is(dir_) || !tree_.table().path(dir_.dir, path_)) {
    close();
    return units;
  }
  Entry entry;
  while (units > 0 && listing_) {
    const int more = listing_->next(entry);
    if (more > 0) {
      --units;
      on_entry(entry);
    } else if (more < 0) {
      fail("getdents64", -more);
    } else {
      finish();
    }
  }
  return units;
}

void Lister::on_entry(const Entry& entry) {
  Entry::Kind kind = entry.kind;
  const std::size_t base = path_.size();
  if (base != 0) path_ += '/';
  path_ += entry.name;
  if (kind == Entry::Kind::kUnknown) {
    Stat stat;
    if (fs_.stat(root_.open(), path_, stat) == 0) kind = kind_of(stat.mode);
  }
  if (kind == Entry::Kind::kFile) {
    ++files_;
    if (task_.files && !is_alias_) {
      RawEvent event;
      event.kind = RawEvent::Kind::kFound;
      event.origin = task_.origin;
      event.dir = dir_.dir;
      event.name = entry.name;
      event.path = path_;
      event.listing = number_;
      const std::string from = task_.from.empty() ? "" : join(task_.from, entry.name);
      event.from_path = from;
      out_.sink().on_raw(event);
    }
  } else if (kind == Entry::Kind::kDirectory && task_.subdirectories && options_.recursive) {
    options_.enters(path_) ? on_subdirectory(entry.name) : on_hidden(dir_.dir, entry.name);
  }
  path_.resize(base);
}

void Lister::on_hidden(DirId parent, std::string_view name) {
  RawEvent event;
  event.kind = RawEvent::Kind::kHidden;
  event.dir = parent;
  event.name = name;
  event.path = path_;
  out_.sink().on_raw(event);
}

void Lister::on_subdirectory(std::string_view name) {
  WatchTable& table = tree_.table();
  const DirId child = table.child(dir_.dir, name);
  if (child != kNoDir) {
    table.at(child).seen = number_;
    // A polled directory's watched children look after themselves.
    if (task_.origin == Origin::kPoll && table.at(child).wd >= 0) return;
  }
  ListTask task;
  task.parent = table.ref(dir_.dir);
  task.name = name;
  task.origin = task_.origin;
  task.files = task_.files;
  if (!task_.from.empty()) task.from = join(task_.from, name);
  tasks_.push_back(std::move(task));
}

void Lister::finish() {
  if (task_.subdirectories && options_.recursive && absence_counts_) ask_for_missing();
  if (task_.files && !is_alias_) {
    RawEvent event;
    event.kind = RawEvent::Kind::kListed;
    event.origin = task_.origin;
    event.dir = dir_.dir;
    event.listing = number_;
    event.rebuilt = absence_counts_;
    out_.sink().on_raw(event);
  }
  close();
}

/// readdir under renames misses what is there: only lstat says that a subdirectory is gone.
void Lister::ask_for_missing() {
  WatchTable& table = tree_.table();
  std::vector<DirId> missing;
  for (DirId child = table.at(dir_.dir).first_child; child != kNoDir;
       child = table.at(child).next_sibling) {
    if (table.at(child).seen != number_ && !table.is_aside(child)) missing.push_back(child);
  }
  for (const DirId child : missing) {
    if (tree_.is_replaced(child)) {
      tree_.miss(child);
      continue;
    }
    const std::string path = join(path_, table.at(child).name);
    Stat stat;
    const int error = fs_.stat(root_.open(), path, stat);
    if (is_absence(-error)) {
      if (tree_.open().open(dir_.dir) >= 0) tree_.miss(child);
    } else if (error == 0) {
      ListTask task;
      task.parent = table.ref(dir_.dir);
      task.name = table.at(child).name;
      task.origin = task_.origin;
      task.files = task_.files;
      tasks_.push_back(std::move(task));
    }
  }
}

}  // namespace inotifier
