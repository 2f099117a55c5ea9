#include "process/completion.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

using Naming = Candidate::Naming;
using News = Candidate::News;
using Stage = Candidate::Stage;

constexpr Nanos kFirstLook = kMillisecond;
constexpr Nanos kGoneWait = kSecond;  // within it comes the record that says where a file went
constexpr std::size_t kLooksPerTurn = 1000;

}  // namespace

std::uint32_t Completion::mask() const {
  return IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB;
}

void Completion::on(const RawEvent& event, const Now& now, Files& files, Out& out) {
  Context context{now, files, out, event.origin};
  switch (event.kind) {
    case RawEvent::Kind::kInotify:
      return on_record(event, context);
    case RawEvent::Kind::kFound:
      return on_found(event, context);
    case RawEvent::Kind::kMoved:
    case RawEvent::Kind::kArrived:
      return on_moved(event, context);
    case RawEvent::Kind::kLeft:
      return on_gone(event.dir, event.name, context);
    case RawEvent::Kind::kListed:
      return on_listed(event, context);
    case RawEvent::Kind::kDirGone:
      return on_directory_gone(event, context);
    case RawEvent::Kind::kRootChanged:
      in_progress_.erase_directory(event.from_dir);
      return table_.renumber(event.from_dir, event.dir);
    case RawEvent::Kind::kAnswered:
      return on_answered(event, context);
    case RawEvent::Kind::kScanned:
      return on_scanned(event, context);
    case RawEvent::Kind::kHidden:
      if (filters_.file(event.path) != Filters::Verdict::kTemporary) return;
      hides_temporaries_ = true;
      return announcer_.note_temporary();
  }
}

void Completion::on_scanned(const RawEvent& event, Context& context) {
  absences_due_ = context.now.mono;
  absences_.end_scan(event.origin, event.rebuilt);
  doubts_scanned_ = context.files.doubts();
  if (table_.scanned()) return;
  in_progress_.each([&](const Candidate& candidate) {
    if (options_.ignore_existing && candidate.stage == Stage::kFound) {
      announcer_.keep_undecided(candidate, context);
    }
  });
  table_.set_scanned();
}

std::optional<Nanos> Completion::deadline() const {
  const auto first = in_progress_.deadline(room_ > 0);
  const bool some = room_ > 0 && absences_.size() > 0;
  return some && (!first || absences_due_ < *first) ? absences_due_ : first;
}

void Completion::on_time(const Now& now, Files& files, Out& out) {
  Context of_absences{now, files, out, absences_.origin()};
  absences_.take_some(std::min(kLooksPerTurn, room_),
                      [&](DirId dir, std::string_view name) { on_gone(dir, name, of_absences); });
  Context context{now, files, out};
  std::vector<Candidate> due = in_progress_.take_due(now.mono, kLooksPerTurn, room_);
  ask(due, files);
  for (Candidate& candidate : due) look_at(std::move(candidate), context);
}

/// Asks the disk for all of them at once.
void Completion::ask(std::vector<Candidate>& candidates, Files& files) const {
  if (candidates.empty()) return;
  const std::uint64_t position = files.queued();
  std::vector<FileName> asked;
  for (Candidate& candidate : candidates) {
    if (!candidate.asked) candidate.position = position;
    if (!candidate.is_temporary()) asked.push_back({candidate.dir, candidate.name});
  }
  if (options_.writer_check && options_.settle == 0 && asked.size() > 1) files.probe(asked);
}

/// It is looked at in this turn, together with the others.
void Completion::consider(Candidate candidate, const Context& context) {
  candidate.due = context.now.mono;
  in_progress_.put(std::move(candidate));
}

/// Decides if that can be decided, and keeps the candidate otherwise.
void Completion::look_at(Candidate candidate, Context& context) {
  Stat stat;
  if (candidate.is_temporary()) {
    const Look found = inspector_.look_at_temporary(candidate, context, stat);
    if (found == Look::kComplete) announcer_.stalled(candidate, stat, context);
    if (found == Look::kComplete || found == Look::kWait) in_progress_.put(std::move(candidate));
    return;
  }
  const bool was_found = candidate.stage == Stage::kFound;
  Look result = inspector_.look(candidate, context, path_, stat);
  if (was_found && candidate.stage == Stage::kPending) announcer_.drop_undecided(candidate);
  if (result == Look::kComplete) result = announcer_.decide(candidate, stat, path_, context);
  if (result == Look::kGone && candidate.naming == Naming::kFromTemporary) {
    // Renamed once more, most likely: the record to come must find it.
    if (candidate.gone_since == 0) candidate.gone_since = context.now.mono;
    candidate.due = saturated_sum(candidate.gone_since, kGoneWait);
    if (candidate.due > context.now.mono) result = Look::kWait;
  }
  if (result == Look::kWait) return in_progress_.put(std::move(candidate));
  if (result == Look::kNotRegular) on_gone(candidate.dir, candidate.name, context);
}

Candidate Completion::take(DirId dir, std::string_view name, bool& existed, const Now& now) {
  Candidate candidate = in_progress_.take(dir, name, existed);
  if (!existed) candidate.begin(now);
  return candidate;
}

/// The disk did not answer when it was looked at, and now it has.
void Completion::on_answered(const RawEvent& event, const Context& context) {
  if (in_progress_.find(event.dir, event.name) == nullptr) return;
  bool existed = false;
  Candidate candidate = in_progress_.take(event.dir, event.name, existed);
  candidate.tries = 0;
  consider(std::move(candidate), context);
}

// --- records

void Completion::on_record(const RawEvent& event, Context& context) {
  if ((event.mask & IN_DELETE) != 0) return on_gone(event.dir, event.name, context);
  if ((event.mask & IN_ATTRIB) != 0) return on_attributes(event, context);
  if ((event.mask & (IN_CREATE | IN_CLOSE_WRITE)) == 0) return;
  if (!event.path.empty()) {
    const auto verdict = filters_.file(event.path);
    if (verdict == Filters::Verdict::kTemporary) return on_temporary(event, context);
    if (verdict == Filters::Verdict::kExcluded) return;
  }
  bool existed = false;
  Candidate candidate = take(event.dir, event.name, existed, context.now);
  if (!existed) candidate.evidence = Evidence::kLink;
  if (candidate.stage == Stage::kFound) candidate.stage = Stage::kPending;
  if ((event.mask & IN_CLOSE_WRITE) == 0) {
    candidate.unseen = false;  // a name in the making; a close would not tell
    if (candidate.naming != Naming::kSeen) {
      // What was known of the name was of another file, which is no more.
      candidate.naming = Naming::kSeen;
      candidate.evidence = Evidence::kLink;
      candidate.from.clear();
      if (candidate.news == News::kMoved) candidate.news = News::kUnknown;
      candidate.restart();
      existed = false;
    }
    // The creator is still at work, most likely; a hard link or O_TMPFILE has none.
    if (!existed) candidate.due = context.now.mono + kFirstLook;
    return in_progress_.put(std::move(candidate));
  }
  if (candidate.evidence == Evidence::kLink || candidate.evidence == Evidence::kScan) {
    candidate.evidence = Evidence::kCloseWrite;
  }
  candidate.naming = std::max(candidate.naming, Naming::kConfirmed);
  candidate.restart();
  const Row* row = table_.find(event.dir, event.name);
  if (row == nullptr || event.position >= row->position) {
    candidate.news = News::kRewritten;
  }
  consider(std::move(candidate), context);
}

/// Times, mode, owner, links or attributes were set, which many writers do after the close. That is
/// no new version; but a look must find out whether it is all.
void Completion::on_attributes(const RawEvent& event, Context& context) {
  const Row* row = table_.find(event.dir, event.name);
  if (row == nullptr || row->state == Row::State::kStalled || event.position < row->position) {
    return;
  }
  if (Candidate* known = in_progress_.find(event.dir, event.name)) {
    known->attributes = true;
    return;
  }
  bool existed = false;
  Candidate candidate = take(event.dir, event.name, existed, context.now);
  candidate.attributes = true;
  candidate.unseen = row->doubts != context.files.doubts();
  candidate.due = context.now.mono;
  in_progress_.put(std::move(candidate));
}

/// A name is no more, something says; only the disk knows.
void Completion::on_gone(DirId dir, std::string_view name, Context& context) {
  if (!is_gone(dir, name, context)) return;
  bool existed = false;
  in_progress_.take(dir, name, existed);
  announcer_.removed(dir, name, {}, context);
}

// --- renames

void Completion::on_moved(const RawEvent& event, Context& context) {
  bool existed = false;
  Candidate candidate;
  if (event.kind == RawEvent::Kind::kMoved) candidate = leave_place(event, existed, context);
  bool replaced = false;
  // What was waited for here is overwritten, or a scan was faster and met this very file.
  const bool met_unseen = in_progress_.take(event.dir, event.name, replaced).unseen;
  candidate.dir = event.dir;
  candidate.name = event.name;
  if (!existed) candidate.begin(context.now);
  if (candidate.is_temporary()) candidate.stage = Stage::kPending;
  candidate.origin = event.origin;
  candidate.evidence = Evidence::kRename;
  candidate.from = event.from_path;
  const bool from_temporary = filters_.is_temporary(event.from_path);
  if (from_temporary) announcer_.note_temporary();
  // Where the earlier name was not to be seen it may have been a temporary one.
  if (event.kind == RawEvent::Kind::kArrived && event.from_path.empty()) {
    candidate.unseen =
        met_unseen || hides_temporaries_ || doubts_scanned_ != context.files.doubts();
  }
  // What was renamed before it could be looked at has kept what its first rename made it.
  candidate.gone_since = 0;
  candidate.naming =
      std::max(candidate.naming, from_temporary ? Naming::kFromTemporary : Naming::kConfirmed);
  candidate.restart();
  if (!event.path.empty()) {
    const auto verdict = filters_.file(event.path);
    if (verdict == Filters::Verdict::kTemporary) return on_temporary(event, context);
    if (verdict == Filters::Verdict::kExcluded) return;
  }
  consider(std::move(candidate), context);
}

/// What is waited for, and known, under the name that a rename took away.
Candidate Completion::leave_place(const RawEvent& event, bool& existed, Context& context) {
  Candidate candidate;
  // The second half of a RENAME_EXCHANGE: what waits under the old name came from the new one a
  // moment ago, and stays. (If it was moved to and fro instead, its next look finds nothing.)
  const Candidate* known = in_progress_.find(event.from_dir, event.from_name);
  const bool exchanged = known != nullptr && known->evidence == Evidence::kRename &&
                         !known->from.empty() && known->from == event.path;
  if (!exchanged) candidate = in_progress_.take(event.from_dir, event.from_name, existed);
  const Row* row = table_.find(event.from_dir, event.from_name);
  if (row == nullptr) return candidate;
  // After RENAME_EXCHANGE the old name is still there, as another file.
  Stat there;
  const bool announced = row->state == Row::State::kAnnounced &&
                         context.files.stat(event.dir, event.name, there) == 0 &&
                         row->same_version(there, context.files.keeps_inodes());
  if (candidate.news != News::kRewritten) {
    candidate.news = announced ? News::kMoved : News::kUnknown;
  }
  if (!is_gone(event.from_dir, event.from_name, context)) {
    bool taken = false;  // and with it the look that makes the row sure
    if (row->unsure) consider(take(event.from_dir, event.from_name, taken, context.now), context);
    return candidate;
  }
  // Reported by the announcement under the new name, unless that is none of ours.
  if (event.path.empty() || filters_.file(event.path) == Filters::Verdict::kAdmitted) {
    table_.leave(event.from_dir, event.from_name);
  } else {
    announcer_.removed(event.from_dir, event.from_name, event.from_path, context);
  }
  return candidate;
}

// --- listings

void Completion::on_found(const RawEvent& event, Context& context) {
  if (event.path.empty()) return;
  if (Candidate* known = in_progress_.find(event.dir, event.name)) known->listing = event.listing;
  const auto verdict = filters_.file(event.path);
  if (verdict == Filters::Verdict::kTemporary) return on_temporary(event, context);
  if (verdict == Filters::Verdict::kExcluded) return;
  if (table_.find(event.dir, event.name) != nullptr ? is_known(event, context)
                                                    : was_moved_here(event, context)) {
    return;
  }
  if (event.stat == nullptr && in_progress_.find(event.dir, event.name) != nullptr) return;
  bool existed = false;
  Candidate candidate = take(event.dir, event.name, existed, context.now);
  if (!existed) {
    candidate.origin = event.origin;
    candidate.stage = Stage::kFound;
    candidate.listing = event.listing;
    candidate.from = event.from_path;
    candidate.evidence = event.from_path.empty() ? Evidence::kScan : Evidence::kRename;
    if (filters_.is_temporary(event.from_path)) candidate.naming = Naming::kFromTemporary;
    const Row* row = table_.find(event.dir, event.name);
    candidate.unseen = row == nullptr || row->doubts != context.files.doubts();
  }
  if (event.stat != nullptr) return on_polled(std::move(candidate), event, context);
  consider(std::move(candidate), context);
}

/// A poller saw it: only what it saw counts, the disk is out of reach.
void Completion::on_polled(Candidate candidate, const RawEvent& event, Context& context) {
  Look result = inspector_.look_at_polled(candidate, *event.stat, context.now);
  if (result == Look::kNotRegular) {
    return announcer_.removed(event.dir, event.name, event.path, context);
  }
  if (result == Look::kComplete) {
    result = has_room(candidate) ? announcer_.decide(candidate, *event.stat, event.path, context)
                                 : Look::kWait;  // it is seen again
  }
  if (result != Look::kWait) return;
  candidate.due = InProgress::kNever;
  in_progress_.put(std::move(candidate));
}

bool Completion::has_room(const Candidate& candidate) {
  if (!candidate.is_find()) return true;
  if (room_ == 0) return false;
  --room_;
  return true;
}

/// A listing shows a file that has a row: whether it is the version of that row, or is gone again.
bool Completion::is_known(const RawEvent& event, Context& context) {
  Row* row = table_.find(event.dir, event.name);
  Stat stat;
  if (event.stat != nullptr) {
    stat = *event.stat;
  } else if (context.files.stat(event.dir, event.name, stat) != 0) {
    return true;  // kListed or a record tells
  }
  row->listing = event.listing;
  if (row->state == Row::State::kStalled || row->path_hash != hash64(event.path) ||
      !row->same_version(stat, context.files.keeps_inodes())) {
    return false;
  }
  if (row->birth == 0 && stat.btime != 0) {
    row->birth = stat.btime;
    table_.changed(event.dir, event.name);
  }
  if (event.stat == nullptr && (row->ctime != stat.ctime || row->unsure)) return false;
  row->doubts = context.files.doubts();
  row->links = stat.links;
  return true;
}

/// A scan met a file that has no row. Whether it is one that was moved while nobody looked.
bool Completion::was_moved_here(const RawEvent& event, Context& context) {
  if (!is_scan(event.origin) || event.stat != nullptr || !event.from_path.empty() ||
      table_.size() == 0 || !context.files.keeps_inodes() ||
      in_progress_.find(event.dir, event.name) != nullptr) {
    return false;
  }
  Stat stat;
  if (context.files.stat(event.dir, event.name, stat) != 0) return false;
  const auto former = absences_.former_place(stat, context);
  if (!former) return false;
  RawEvent moved = event;
  moved.kind = RawEvent::Kind::kMoved;
  moved.from_dir = former->dir;
  moved.from_name = former->name;
  moved.from_path = former->path;
  on_moved(moved, context);
  return true;
}

/// A listing came to its end. What it did not show may have been missed (readdir under renames), or
/// have moved to a directory that is still to be listed.
void Completion::on_listed(const RawEvent& event, Context& context) {
  if (!event.rebuilt) return;
  std::vector<std::string> missing = table_.unlisted(event.dir, event.listing);
  for (std::string& name : in_progress_.unlisted(event.dir, event.listing)) {
    if (table_.find(event.dir, name) == nullptr) missing.push_back(std::move(name));
  }
  for (std::string& name : missing) {
    if (is_scan(event.origin)) {
      absences_.add_unseen(event.dir, std::move(name));
    } else {
      on_gone(event.dir, name, context);
    }
  }
}

void Completion::on_directory_gone(const RawEvent& event, Context& context) {
  in_progress_.erase_directory(event.dir);
  for (const std::string& name : table_.unlisted(event.dir, 0)) {
    // Another file may have that path by now.
    const std::string path = join(event.path, name);
    Stat stat;
    if (event.rebuilt && is_absence(context.files.stat_path(path, stat))) {
      announcer_.removed(event.dir, name, path, context);
    } else {
      table_.leave(event.dir, name);
    }
  }
}

// --- temporary names

void Completion::on_temporary(const RawEvent& event, Context& context) {
  announcer_.note_temporary();
  Candidate* known = in_progress_.find(event.dir, event.name);
  if (known != nullptr && known->is_temporary()) {
    if (event.stat == nullptr || options_.stalled_after == 0) return;
    // Out of reach but for what a poller sees of it.
    if (inspector_.temporary_polled(*known, *event.stat, context.now) == Look::kComplete) {
      announcer_.stalled(*known, *event.stat, context);
    }
    return;
  }
  bool existed = false;
  Candidate candidate = in_progress_.take(event.dir, event.name, existed);
  candidate.stage = Stage::kTemporary;
  candidate.listing = event.listing;
  candidate.first_seen = context.now.wall;
  candidate.due = InProgress::kNever;
  if (options_.stalled_after != 0 && event.stat == nullptr) {
    candidate.due = saturated_sum(context.now.mono, options_.stalled_after);
    Stat stat;
    if (event.kind == RawEvent::Kind::kFound &&
        context.files.stat(event.dir, event.name, stat) == 0) {
      const Row* row = table_.find(event.dir, event.name);
      if (row != nullptr && row->state == Row::State::kStalled && row->inode == stat.inode) {
        candidate.stage = Stage::kStalled;
      }
      // It may have been there long before we came.
      const Nanos age = saturated_difference(context.now.wall, std::max(stat.mtime, stat.ctime));
      const Nanos left = options_.stalled_after - std::max<Nanos>(0, age);
      candidate.due = saturated_sum(context.now.mono, std::max<Nanos>(0, left));
    }
  }
  in_progress_.put(std::move(candidate));
}

}  // namespace inotifier
