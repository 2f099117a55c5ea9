#include "process/inspector.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "process/in_progress.hpp"

namespace inotifier {
namespace {

// Without leases: what rsync, scp and browsers leave between two writes on a healthy machine.
constexpr Nanos kQuiet = 2 * kSecond;
// The same where no close was seen: its writer may just pause.
constexpr Nanos kUnclosedQuiet = 60 * kSecond;
// CREATE is queued before its creator may write: two looks this far apart must agree.
constexpr Nanos kEmptyAgain = 2 * kSecond;
constexpr Nanos kEmptyOld = 10 * kSecond;
constexpr Nanos kOldEnough = 10 * kSecond;
constexpr Nanos kRarely = 10 * kSecond;
constexpr Nanos kLongWait = 3600 * kSecond;
constexpr std::uint8_t kMostDoublings = 10;  // of the wait between two looks

/// How long ago it was written or changed, by the wall clock.
Nanos age_of(const Stat& stat, const Now& now) {
  return saturated_difference(now.wall, std::max(stat.mtime, stat.ctime));
}

/// A writer is there, or the place is not known: 1, 2, 4 ... 512 ms, then every second, after an
/// hour every ten. Never waited out by events alone: two closes can be one record, and CLOSE_WRITE
/// comes before the writer is gone.
Look wait_again(Candidate& candidate, Candidate::Wait wait, const Now& now) {
  candidate.wait = wait;
  const Nanos pause = candidate.tries < kMostDoublings ? kMillisecond << candidate.tries
                      : now.mono - candidate.waiting_since > kLongWait ? kRarely
                                                                       : kSecond;
  if (candidate.tries < kMostDoublings) ++candidate.tries;
  candidate.due = now.mono + pause;
  return Look::kWait;
}

Look wait_for_quiet(Candidate& candidate, const Stat& stat, const Now& now, Nanos quiet) {
  const Trace trace{stat.inode, stat.size, stat.mtime};
  if (candidate.last != trace) {
    candidate.last = trace;
    candidate.quiet_since = now.mono;
  }
  if (now.mono - candidate.quiet_since >= quiet) return Look::kComplete;
  candidate.due = saturated_sum(candidate.quiet_since, quiet);
  candidate.wait = Candidate::Wait::kQuiet;
  return Look::kWait;
}

/// A stat of a regular file, or what to do without one.
Look look_by_stat(Candidate& candidate, Context& context, Stat& stat) {
  const int error = context.files.stat(candidate.dir, candidate.name, stat);
  if (error == EAGAIN) return wait_again(candidate, Candidate::Wait::kPlace, context.now);
  if (error != 0) return Look::kGone;
  return is_regular(stat) ? Look::kComplete : Look::kNotRegular;
}

}  // namespace

bool is_regular(const Stat& stat) { return S_ISREG(stat.mode); }

bool Inspector::is_old(const Candidate& candidate, const Stat& stat, const Now& now,
                       Nanos age) const {
  return candidate.evidence == Evidence::kScan && age_of(stat, now) >= age;
}

Look Inspector::look(Candidate& candidate, Context& context, std::string& path, Stat& stat) const {
  if (!context.files.path(candidate.dir, candidate.name, path)) {
    return wait_again(candidate, Candidate::Wait::kPlace, context.now);
  }
  // The path may have been unknown, or another one, when the candidate was made.
  if (filters_.file(path) != Filters::Verdict::kAdmitted) return Look::kDrop;
  if (options_.settle > 0) {
    const Look found = look_by_stat(candidate, context, stat);
    if (found != Look::kComplete) return found;
    if (!is_old(candidate, stat, context.now, options_.settle) &&
        wait_for_quiet(candidate, stat, context.now, options_.settle) == Look::kWait) {
      return Look::kWait;
    }
  }
  if (options_.writer_check) return look_at_writer(candidate, context, stat);
  const Look found = look_by_stat(candidate, context, stat);
  if (found != Look::kComplete) return found;
  // The user says that this writer's close or rename is enough.
  return candidate.naming == Candidate::Naming::kSeen ? without_leases(candidate, context, stat)
                                                      : without_writer(candidate, context, stat);
}

Look Inspector::look_at_writer(Candidate& candidate, Context& context, Stat& stat) const {
  const Files::Writer writer = context.files.writer(candidate.dir, candidate.name, stat);
  candidate.asked = writer == Files::Writer::kPending;
  switch (writer) {
    case Files::Writer::kGone:
      return Look::kGone;
    case Files::Writer::kNotRegular:
      return Look::kNotRegular;
    case Files::Writer::kChanged:
      return wait_again(candidate, Candidate::Wait::kPlace, context.now);
    case Files::Writer::kPending:
      // A scan is not held up for long by a file that does not answer.
      if (candidate.tries == kMostDoublings && candidate.stage == Candidate::Stage::kFound) {
        candidate.stage = Candidate::Stage::kPending;
      }
      return wait_again(candidate, Candidate::Wait::kNoAnswer, context.now);
    case Files::Writer::kOpen:
      if (candidate.stage == Candidate::Stage::kFound) candidate.stage = Candidate::Stage::kPending;
      candidate.last.reset();
      return wait_again(candidate, Candidate::Wait::kWriter, context.now);
    case Files::Writer::kNone:
      return without_writer(candidate, context, stat);
    case Files::Writer::kUnknown:
      break;
  }
  const Look found = look_by_stat(candidate, context, stat);
  return found == Look::kComplete ? without_leases(candidate, context, stat) : found;
}

Look Inspector::without_leases(Candidate& candidate, Context& context, Stat& stat) const {
  const bool may_be_open =
      candidate.naming == Candidate::Naming::kSeen && candidate.origin != Origin::kPoll;
  const Nanos quiet = std::max(may_be_open ? kUnclosedQuiet : kQuiet, options_.settle);
  if (!is_old(candidate, stat, context.now, std::max(quiet, kOldEnough)) &&
      wait_for_quiet(candidate, stat, context.now, quiet) == Look::kWait) {
    return Look::kWait;
  }
  candidate.evidence = Evidence::kSettled;
  return Look::kComplete;
}

Look Inspector::without_writer(Candidate& candidate, Context& context, const Stat& stat) const {
  if (stat.size == 0 && candidate.naming == Candidate::Naming::kSeen &&
      saturated_difference(context.now.wall, stat.ctime) < kEmptyOld &&
      wait_for_quiet(candidate, stat, context.now, kEmptyAgain) == Look::kWait) {
    candidate.wait = Candidate::Wait::kEmpty;
    return Look::kWait;
  }
  return Look::kComplete;
}

Look Inspector::look_at_polled(Candidate& candidate, const Stat& stat, const Now& now) const {
  candidate.evidence = Evidence::kSettled;
  candidate.due = InProgress::kNever;
  if (!is_regular(stat)) return Look::kNotRegular;
  const Look result = wait_for_quiet(candidate, stat, now, std::max(kQuiet, options_.settle));
  candidate.due = InProgress::kNever;
  return result;
}

Look Inspector::temporary_polled(Candidate& candidate, const Stat& stat, const Now& now) const {
  const Look result = wait_for_quiet(candidate, stat, now, options_.stalled_after);
  candidate.due = InProgress::kNever;
  return result;
}

Look Inspector::look_at_temporary(Candidate& candidate, Context& context, Stat& stat) const {
  const Look found = look_by_stat(candidate, context, stat);
  if (found != Look::kComplete) return found;
  const Nanos age = age_of(stat, context.now);
  candidate.due = InProgress::kNever;
  if (age >= options_.stalled_after) return Look::kComplete;
  candidate.due = saturated_sum(
      context.now.mono,
      std::clamp<Nanos>(options_.stalled_after - age, kMillisecond, options_.stalled_after));
  return Look::kWait;
}

}  // namespace inotifier
