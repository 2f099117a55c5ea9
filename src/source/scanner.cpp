#include "source/scanner.hpp"

#include <algorithm>
#include <utility>

namespace inotifier {
namespace {

// An open, a stat, an inotify_add_watch and the first getdents cost about as much as so many
// entries.
constexpr int kUnitsPerDirectory = 4;

}  // namespace

void Scanner::take_in(DirId parent, std::string_view name, Origin origin, std::string_view from) {
  ListTask task;
  task.parent = tree_.table().ref(parent);
  task.name = name;
  task.origin = origin;
  task.from = from;
  fresh_.push_back(std::move(task));
}

void Scanner::poll_unwatched() {
  if (!fresh_.empty()) return;
  for (const DirId dir : tree_.unwatched()) {
    ListTask task;
    task.self = tree_.table().ref(dir);
    task.origin = Origin::kPoll;
    fresh_.push_back(std::move(task));
  }
}

bool Scanner::begin_anew() {
  if (phase_ == Phase::kIdle) return false;
  scan_lister_.close();
  rescans_.doubt();
  begin_scan({reason_, tree_.scan().origin, tree_.scan().absence_counts});
  return true;
}

void Scanner::stop() {
  scan_lister_.close();
  fresh_lister_.close();
  fresh_.clear();
  scan_tasks_.clear();
  phase_ = Phase::kIdle;
  tree_.abandon_scan();
}

bool Scanner::slice(int units) {
  const bool work =
      !fresh_.empty() || fresh_lister_.is_listing() || rescans_.pending() || phase_ != Phase::kIdle;
  if (!work || root_.open() < 0) return false;
  units = run_fresh(units);
  if (rescans_.pending() && phase_ == Phase::kIdle && now_ >= rescans_.due_at(now_)) {
    begin_scan(rescans_.take(now_));
  }
  const bool had_room = room_ > 0;
  units = run_scan(units);
  return units <= 0 || (had_room && room_ == 0 && phase_ != Phase::kIdle);
}

int Scanner::run_fresh(int units) {
  while (units > 0) {
    if (!fresh_lister_.is_listing()) {
      if (fresh_.empty()) break;
      ListTask task = std::move(fresh_.front());
      fresh_.pop_front();
      units -= kUnitsPerDirectory;
      if (!fresh_lister_.begin(std::move(task), true)) continue;
    }
    units = fresh_lister_.advance(units);
  }
  return units;
}

void Scanner::begin_scan(Rescans::Due due) {
  tree_.begin_scan(due.origin, due.absence_counts);
  reason_ = std::move(due.reason);
  // Where nothing is known of the files each of them will be looked at, which takes long; until
  // then every directory shall be watched. Otherwise listing once is enough.
  ready_first_ = due.origin == Origin::kStartup && !options_.known;
  phase_ = Phase::kArm;
  started_ = now_;
  scan_lister_.take_count();
  scan_tasks_.clear();
  ListTask task;
  task.self = tree_.table().ref(kRootDir);
  task.origin = due.origin;
  scan_tasks_.push_back(std::move(task));
}

int Scanner::run_scan(int units) {
  while (units > 0 && phase_ != Phase::kIdle) {
    if (room_ == 0 && phase_ != Phase::kArm) break;
    if (scan_lister_.is_listing()) {
      if (room_ == 0) scan_lister_.leave_files();
      units = list_on(units);
      continue;
    }
    units -= kUnitsPerDirectory;
    if (phase_ == Phase::kArm) {
      arm_next();
    } else if (phase_ == Phase::kList) {
      list_next();
    } else if (!tree_.drop_missing()) {
      end_scan();
    }
  }
  return units;
}

int Scanner::list_on(int units) {
  if (!scan_lister_.lists_files()) return scan_lister_.advance(units);
  const int most = static_cast<int>(std::min<std::size_t>(room_, static_cast<std::size_t>(units)));
  const int used = most - scan_lister_.advance(most);
  room_ -= static_cast<std::size_t>(used);
  return units - used;
}

void Scanner::arm_next() {
  if (!scan_tasks_.empty()) {
    ListTask task = std::move(scan_tasks_.back());
    scan_tasks_.pop_back();
    task.files = !ready_first_ && room_ > 0;
    scan_lister_.begin(std::move(task), tree_.scan().absence_counts);
    return;
  }
  const WatchTable& table = tree_.table();
  tell_ready(static_cast<std::int64_t>(table.count() - table.asides().size()),
             scan_lister_.take_count());
  phase_ = Phase::kList;
  cursor_ = 0;
}

void Scanner::tell_ready(std::int64_t directories, std::int64_t files) {
  if (std::exchange(ready_, true)) return;
  Value::Map data;
  data.emplace_back("directories", directories);
  data.emplace_back("files", files);
  out_.sink().on_status("ready", std::move(data));
}

void Scanner::end_first_round(std::int64_t directories, std::int64_t files) {
  if (ready_) return;
  tell_ready(directories, files);
  out_.sink().on_scanned(Origin::kStartup, "startup", 0);
}

void Scanner::list_next() {
  const WatchTable& table = tree_.table();
  const std::uint32_t number = tree_.scan().number;
  for (; cursor_ < table.limit(); ++cursor_) {
    const auto& self = table.at(cursor_);
    // What was not armed in the first pass is not there, not readable or on its way.
    if (self.alive && !self.detached && self.listed != number && self.armed == number) break;
  }
  if (cursor_ >= table.limit()) {
    phase_ = Phase::kDrop;
    return;
  }
  const DirId dir = cursor_++;
  ListTask task;
  task.self = table.ref(dir);
  task.origin = tree_.scan().origin;
  task.arm = false;
  task.from = tree_.former_path(dir);
  task.subdirectories = false;
  scan_lister_.begin(std::move(task), tree_.scan().absence_counts);
}

void Scanner::end_scan() {
  const Tree::Scan& scan = tree_.scan();
  RawEvent event;
  event.kind = RawEvent::Kind::kScanned;
  event.origin = scan.origin;
  event.rebuilt = scan.absence_counts;
  out_.sink().on_raw(event);
  tree_.end_scan();
  phase_ = Phase::kIdle;
  rescans_.ended(scan.origin, now_);
  out_.sink().on_scanned(scan.origin, reason_, now_ - started_);
}

}  // namespace inotifier
