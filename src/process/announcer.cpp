#include "process/announcer.hpp"

#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace inotifier {
namespace {

// One tick of the coarse clock is 1 to 10 ms (CONFIG_HZ).
constexpr Nanos kTickWait = 2 * kMillisecond;
constexpr Nanos kCoarseWait = 250 * kMillisecond;
// So long a rename of its directory, or a temporary name beside it, may still explain a file that
// nobody saw coming.
constexpr Nanos kUnseenWait = kSecond;
constexpr Nanos kNextLook = kMillisecond;

/// Whether every record that was queued when the file was found like this has been handled. Then
/// all is known of how it came to be like this; until then the candidate waits.
bool has_caught_up(Candidate& candidate, const Stat& stat, Context& context) {
  auto& mark = candidate.mark;
  if (!mark || mark->inode != stat.inode || mark->ctime != stat.ctime) {
    mark = {stat.inode, stat.ctime, context.files.queued()};
  }
  if (context.files.handled() >= mark->position) return true;
  candidate.due = context.now.mono + kNextLook;
  candidate.wait = Candidate::Wait::kRecords;
  return false;
}

bool was_rewritten(const Candidate& candidate) {
  return candidate.news == Candidate::News::kRewritten;
}

}  // namespace

/// Whether the records that are queued may say something else than what is known by now.
bool Announcer::needs_records(const Candidate& candidate, const Row* row, bool same_path,
                              const Stat& stat, Context& context) const {
  // A writer so fast that its close is still queued says less than a link: the evidence must be
  // right.
  if (candidate.evidence == Evidence::kLink) return true;
  // A close that was seen may have been that of an earlier file of this name, of which the new one
  // has not got its writer yet.
  if (stat.size == 0) return true;
  if (candidate.evidence == Evidence::kScan &&
      (options_.only_via_temporary || was_there(candidate, row))) {
    return true;
  }
  const bool keeps_inodes = context.files.keeps_inodes();
  return same_path && row->same_data(stat, keeps_inodes) &&
         !(was_rewritten(candidate) && !row->same_version(stat, keeps_inodes));
}

/// Whether the file, which was touched since the row's look, is still the version of that row: its
/// times, mode, owner, links or attributes were set, and nothing else. Without proof of that it is
/// a new version.
bool Announcer::is_known(const Candidate& candidate, Row& row, const Stat& stat,
                         Context& context) const {
  if (!row.same_data(stat, context.files.keeps_inodes())) return false;
  if (row.unsure && (was_rewritten(candidate) || row.doubts != context.files.doubts()))
    return false;
  if (row.mtime == stat.mtime) {
    // It was opened for writing and its ctime is another one. A hard link explains that; setting
    // the times back after a write would have come with an ATTRIB.
    const bool linked = row.links != 0 && row.links != stat.links && !candidate.attributes &&
                        row.doubts == context.files.doubts();
    if (was_rewritten(candidate) && !linked) return false;
  } else {
    // Times set after the close. Through another name it can be written unseen.
    if (!candidate.attributes || was_rewritten(candidate) || stat.links > 1 ||
        row.doubts != context.files.doubts()) {
      return false;
    }
    row.revision = Row::next_revision(row.revision, row.mtime, stat);
    row.mtime = stat.mtime;
  }
  row.doubts = context.files.doubts();
  row.unsure = row.unsure && !context.files.later_write_shows(stat);
  // Without a lease a writer may be at work: what its close shows must be compared with before.
  if (options_.writer_check && candidate.evidence != Evidence::kSettled) {
    row.ctime = stat.ctime;
    row.links = stat.links;
    row.position = candidate.position;
  }
  table_.changed(candidate.dir, candidate.name);
  return true;
}

/// Whether it was there when the watch was first made, and is therefore ignored: the first scan
/// found it, without a writer, and no record told of it.
bool Announcer::was_there(const Candidate& candidate, const Row* row) const {
  return options_.ignore_existing && !table_.scanned() && row == nullptr &&
         candidate.stage == Candidate::Stage::kFound;
}

void Announcer::keep_undecided(const Candidate& candidate, Context& context) {
  Stat stat;
  std::string path;
  if (!context.files.path(candidate.dir, candidate.name, path) ||
      table_.find(candidate.dir, candidate.name) != nullptr) {
    return;
  }
  if (candidate.last) {
    stat.inode = candidate.last->inode;
    stat.size = candidate.last->size;
    stat.mtime = candidate.last->mtime;
  } else if (context.files.stat(candidate.dir, candidate.name, stat) != 0 || !is_regular(stat)) {
    return;
  }
  const bool is_clear = context.files.later_write_shows(stat);
  stat.ctime = 0;  // no look under a lease has seen it
  remember(candidate, stat, path, Row::State::kNoArrival, context);
  // A write that comes before it is looked at may not show: after a kill it is announced.
  if (!is_clear) table_.find(candidate.dir, candidate.name)->unsure = true;
}

void Announcer::drop_undecided(const Candidate& candidate) {
  const Row* row = table_.find(candidate.dir, candidate.name);
  if (row != nullptr && row->state == Row::State::kNoArrival && row->ctime == 0) {
    table_.leave(candidate.dir, candidate.name);
  }
}

Look Announcer::decide(Candidate& candidate, const Stat& stat, std::string_view path,
                       Context& context) {
  if (stat.size < options_.min_size) return Look::kDrop;
  Row* row = table_.find(candidate.dir, candidate.name);
  if (row != nullptr && row->state == Row::State::kStalled) row = nullptr;  // it was temporary
  const bool same = row != nullptr && row->same_version(stat, context.files.keeps_inodes());
  const bool same_path = row != nullptr && row->path_hash == hash64(path);
  if (same && same_path && stat.ctime == row->ctime && !row->unsure) {
    row->doubts = context.files.doubts();
    return Look::kDrop;
  }
  if (!context.files.later_write_shows(stat) &&
      (!stat.is_coarse() || (same && same_path && row->unsure))) {
    // Another write within this tick would look the same: after it, the identity is unmistakable.
    candidate.due = context.now.mono + (stat.is_coarse() ? kCoarseWait : kTickWait);
    candidate.wait = Candidate::Wait::kClock;
    return Look::kWait;
  }
  if (needs_records(candidate, row, same_path, stat, context) &&
      !has_caught_up(candidate, stat, context)) {
    return Look::kWait;
  }
  if (same_path && is_known(candidate, *row, stat, context)) return finish(candidate, context);
  if (was_there(candidate, row)) {
    remember(candidate, stat, path, Row::State::kNoArrival, context);
    return finish(candidate, context);
  }
  const bool moved = (same && !same_path && row->state == Row::State::kAnnounced) ||
                     candidate.news == Candidate::News::kMoved;
  if (options_.only_via_temporary && !moved &&
      candidate.naming != Candidate::Naming::kFromTemporary) {
    // In a directory just made a file may have been renamed, or written, before anybody looked.
    const bool may_be_written = candidate.origin == Origin::kNewDirectory &&
                                candidate.from.empty() && row == nullptr && !temporaries_seen_;
    if (!candidate.unseen || may_be_written) return no_arrival(candidate, stat, path, context);
  }
  Stat there;
  const int error = context.files.stat_path(path, there);
  if (is_absence(error) || (error == 0 && there.inode != stat.inode)) {
    // A directory above it was renamed: the record to come tells its path.
    candidate.due = context.now.mono + kNextLook;
    candidate.wait = Candidate::Wait::kPlace;
    return Look::kWait;
  }
  announce(candidate, stat, path, moved, context);
  return finish(candidate, context);
}

/// The row is true. Where the times would not show a write that comes now, another look is due when
/// they would: so at most two announcements come of all writes within one second.
Look Announcer::finish(Candidate& candidate, Context& context) {
  if (!table_.find(candidate.dir, candidate.name)->unsure) return Look::kDrop;
  Candidate again;
  again.dir = candidate.dir;
  again.name = std::move(candidate.name);
  again.begin(context.now);
  again.due = context.now.mono + kCoarseWait;
  again.wait = Candidate::Wait::kClock;
  candidate = std::move(again);
  return Look::kWait;
}

/// create-via-chunks: nothing says that it ever had a temporary name.
Look Announcer::no_arrival(Candidate& candidate, const Stat& stat, std::string_view path,
                           Context& context) {
  const Nanos until = saturated_sum(candidate.waiting_since, kUnseenWait);
  if (candidate.unseen && context.now.mono < until) {
    candidate.due = until;
    candidate.wait = Candidate::Wait::kRename;
    return Look::kWait;
  }
  remember(candidate, stat, path, Row::State::kNoArrival, context);
  return finish(candidate, context);
}

void Announcer::announce(const Candidate& candidate, const Stat& stat, std::string_view path,
                         bool moved, Context& context) {
  const Row* row = table_.find(candidate.dir, candidate.name);
  const std::uint64_t path_hash = hash64(path);
  const bool same_path = row != nullptr && row->path_hash == path_hash;
  Report report;
  report.path = path;
  report.dir = candidate.dir;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.evidence = candidate.evidence;
  facts.origin = candidate.origin;
  facts.first_seen = candidate.first_seen;
  facts.from = candidate.from;
  const auto* left = table_.tombstone(path_hash);
  facts.rewritten =
      same_path ? row->state == Row::State::kAnnounced : left != nullptr && left->announced;
  facts.revision = remember(candidate, stat, path, Row::State::kAnnounced, context);
  // create-via-chunks: what has arrived may be renamed; not so a directory that gets its final name
  // when the files in it have theirs.
  const bool renamed_itself = candidate.news == Candidate::News::kMoved;
  if (moved && (!options_.announce_renamed || (options_.only_via_temporary && renamed_itself))) {
    report.type = "file.moved";
    if (context.out.wants(report.type)) context.out.emit(std::move(report));
    return;
  }
  report.type = "file.completed";
  context.out.emit(std::move(report));
}

/// The revision that it has in the file table. (revision, mtime) rises with every version of a
/// path: no two of them have the same id, whatever a writer does to the times.
std::uint32_t Announcer::remember(const Candidate& candidate, const Stat& stat,
                                  std::string_view path, Row::State state, Context& context) {
  Row row;
  row.inode = stat.inode;
  row.size = stat.size;
  row.mtime = stat.mtime;
  row.birth = stat.btime;
  row.ctime = stat.ctime;
  row.position = candidate.position;
  row.path_hash = hash64(path);
  row.doubts = context.files.doubts();
  row.links = stat.links;
  row.state = state;
  row.unsure = stat.is_coarse() && !context.files.later_write_shows(stat);
  const Row* before = table_.find(candidate.dir, candidate.name);
  if (before != nullptr) row.listing = before->listing;
  if (before != nullptr && before->path_hash == row.path_hash) {
    row.revision = Row::next_revision(before->revision, before->mtime, stat);
  } else {
    if (const auto* tombstone = table_.tombstone(row.path_hash)) {
      row.revision = Row::next_revision(tombstone->revision, tombstone->mtime, stat);
    }
    if (before != nullptr) table_.add_tombstone(*before);  // its directory was renamed
  }
  table_.put(candidate.dir, candidate.name, row);
  return row.revision;
}

void Announcer::removed(DirId dir, std::string_view name, std::string_view path, Context& context) {
  const Row* row = table_.find(dir, name);
  if (row == nullptr) return;
  if (row->state == Row::State::kAnnounced) {
    Report report;
    report.type = "file.removed";
    report.path = path;
    if (!path.empty() || context.files.path(dir, name, report.path)) {
      FileFacts& facts = report.file.emplace();
      facts.stat.inode = row->inode;
      facts.stat.size = row->size;
      facts.stat.mtime = row->mtime;
      facts.stat.btime = row->birth;
      facts.revision = row->revision;
      facts.origin = context.origin;
      facts.first_seen = context.now.wall;
      context.out.emit(std::move(report));
    }
  }
  table_.leave(dir, name);
}

void Announcer::stalled(Candidate& candidate, const Stat& stat, Context& context) {
  std::string path;
  if (candidate.stage == Candidate::Stage::kStalled ||
      !context.files.path(candidate.dir, candidate.name, path)) {
    return;
  }
  candidate.stage = Candidate::Stage::kStalled;
  // Not to be reported again after a restart.
  remember(candidate, stat, path, Row::State::kStalled, context);
  Report report;
  report.type = "file.stalled";
  report.path = std::move(path);
  report.dir = candidate.dir;
  FileFacts& facts = report.file.emplace();
  facts.stat = stat;
  facts.evidence = Evidence::kScan;
  facts.first_seen = candidate.first_seen;
  facts.origin = candidate.origin;
  context.out.emit(std::move(report));
}

}  // namespace inotifier
