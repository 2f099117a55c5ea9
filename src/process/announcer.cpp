#include "process/announcer.hpp"

#include <string>
#include <utility>

#include "base/hash.hpp"

namespace inotifier {
namespace {

// One tick of the coarse clock is 1 to 10 ms (CONFIG_HZ).
constexpr Nanos kTickWait = 2 * kMillisecond;
/// How long after its last close a writer may still set the times of a file.
constexpr Nanos kFinishing = 10 * kSecond;

}  // namespace

bool times_were_set(const Row& row, const Stat& stat) {
  if (stat.inode != row.inode || stat.size != row.size) return false;
  // Without a creation time it might be another file that got the inode.
  if (stat.btime == 0 || row.birth != Row::birth_of(stat)) return false;
  if (stat.ctime - row.ctime > kFinishing) return false;
  return stat.mtime < row.ctime || stat.mtime > stat.ctime || stat.mtime == stat.atime;
}

Look Announcer::decide(Candidate& candidate, const Stat& stat, std::string_view path,
                       Context& context) {
  if (stat.size < options_.min_size) return Look::kDrop;
  const bool rewritten = candidate.news == Candidate::News::kRewritten;
  Row* row = table_.find(candidate.dir, candidate.name);
  if (row != nullptr && row->state == Row::State::kStalled) row = nullptr;  // it was temporary
  const bool same = row != nullptr && row->same_version(stat, context.files.keeps_inodes());
  const bool same_path = row != nullptr && row->path_hash == hash64(path);
  if (same && same_path && !(rewritten && stat.ctime != row->ctime)) return Look::kDrop;
  // The close of the announced version, read late; its times were set in between.
  if (same_path && !rewritten && candidate.evidence == Evidence::kCloseWrite &&
      times_were_set(*row, stat)) {
    row->mtime = stat.mtime;
    table_.changed(candidate.dir, candidate.name);
    return Look::kDrop;
  }
  if (!context.files.later_write_shows(stat)) {
    // Another write within this tick would look the same: after it, the identity is unmistakable.
    candidate.due = context.now.mono + kTickWait;
    return Look::kWait;
  }
  // Ignored is what had no writer when we first looked.
  if (options_.ignore_existing && candidate.stage == Candidate::Stage::kFound &&
      candidate.origin == Origin::kStartup && stat.ctime < options_.born && row == nullptr) {
    remember(candidate, stat, path, Row::State::kNoArrival, 0, context.files.turn());
    return Look::kDrop;
  }
  const bool moved = (same && !same_path && row->state == Row::State::kAnnounced) ||
                     candidate.news == Candidate::News::kMoved;
  if (options_.only_via_temporary && candidate.naming != Candidate::Naming::kFromTemporary) {
    const bool unheard = row == nullptr && candidate.evidence == Evidence::kScan;
    if (!unheard && !moved) {
      remember(candidate, stat, path, Row::State::kNoArrival, row == nullptr ? 0 : row->revision,
               context.files.turn());
      return Look::kDrop;
    }
  }
  announce(candidate, stat, path, moved, context);
  return Look::kDrop;
}

void Announcer::announce(const Candidate& candidate, const Stat& stat, std::string_view path,
                         bool moved, Context& context) {
  const Row* row = table_.find(candidate.dir, candidate.name);
  if (row != nullptr && row->state == Row::State::kStalled) row = nullptr;
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
  // (revision, mtime) rises with every version of a path: no two of them have the same id, whatever
  // a writer does to the times.
  const auto* left = same_path ? nullptr : table_.tombstone(path_hash);
  facts.rewritten = left != nullptr || (same_path && row->state == Row::State::kAnnounced);
  if (same_path) {
    facts.revision = row->revision + (stat.mtime > row->mtime ? 0 : 1);
  } else if (left != nullptr) {
    facts.revision = left->revision + (stat.mtime > left->mtime ? 0 : 1);
  }
  if (row != nullptr && !same_path) table_.add_tombstone(*row);  // its directory was renamed
  remember(candidate, stat, path, Row::State::kAnnounced, facts.revision, context.files.turn());
  if (moved && (!options_.announce_renamed || options_.only_via_temporary)) {
    report.type = "file.moved";
    if (context.out.wants(report.type)) context.out.emit(std::move(report));
    return;
  }
  report.type = "file.completed";
  context.out.emit(std::move(report));
}

void Announcer::remember(const Candidate& candidate, const Stat& stat, std::string_view path,
                         Row::State state, std::uint32_t revision, std::uint32_t turn) {
  Row row;
  row.inode = stat.inode;
  row.size = stat.size;
  row.mtime = stat.mtime;
  row.ctime = stat.ctime;
  row.path_hash = hash64(path);
  row.revision = revision;
  row.turn = turn;
  row.state = state;
  row.birth = Row::birth_of(stat);
  if (const Row* before = table_.find(candidate.dir, candidate.name)) row.listing = before->listing;
  table_.put(candidate.dir, candidate.name, row);
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
  remember(candidate, stat, path, Row::State::kStalled, 0, context.files.turn());
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
