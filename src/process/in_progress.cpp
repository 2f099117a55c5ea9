#include "process/in_progress.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace inotifier {
namespace {

// 1 MB: more than that is given back once nothing is waited for.
constexpr std::size_t kMany = 4096;

}  // namespace

std::uint32_t InProgress::find_slot(DirId dir, std::string_view name) const {
  return index_.find(NameIndex::hash(dir, name), [&](std::uint32_t slot) {
    return slots_[slot].dir == dir && slots_[slot].name == name;
  });
}

Candidate* InProgress::find(DirId dir, std::string_view name) {
  const std::uint32_t slot = find_slot(dir, name);
  return slot == NameIndex::kNone ? nullptr : &slots_[slot];
}

Candidate InProgress::take_slot(std::uint32_t slot) {
  Candidate taken = std::exchange(slots_[slot], Candidate{});
  index_.erase(NameIndex::hash(taken.dir, taken.name), slot);
  free_.push_back(slot);
  const auto count = in_directory_.find(taken.dir);
  if (--count->second == 0) in_directory_.erase(count);
  if (taken.stage == Candidate::Stage::kFound) --undecided_;
  // A scan of a tree that has just been made: all of it waited for a moment.
  if (slots_.size() >= kMany && size() == 0) {
    slots_ = {};
    free_ = {};
    index_ = {};
    timers_ = {};
    find_timers_ = {};
  }
  return taken;
}

Candidate InProgress::take(DirId dir, std::string_view name, bool& existed) {
  const std::uint32_t slot = find_slot(dir, name);
  existed = slot != NameIndex::kNone;
  if (existed) return take_slot(slot);
  Candidate made;
  made.dir = dir;
  made.name = name;
  return made;
}

void InProgress::put(Candidate candidate) {
  std::uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  const Nanos due = candidate.due;
  if (candidate.stage == Candidate::Stage::kFound) ++undecided_;
  ++in_directory_[candidate.dir];
  slots_[slot] = std::move(candidate);
  index_.insert(NameIndex::hash(slots_[slot].dir, slots_[slot].name), slot,
                [this](std::uint32_t other) {
                  return NameIndex::hash(slots_[other].dir, slots_[other].name);
                });
  if (due != kNever) add_timer(due, slot);
}

void InProgress::add_timer(Nanos due, std::uint32_t slot) {
  // Most files are gone long before their timer (an hour for a temporary): do not keep those.
  constexpr std::size_t kFewTimers = 1024;
  const std::size_t live = slots_.size() - free_.size();
  Timers& of_kind = slots_[slot].is_find() ? find_timers_ : timers_;
  if (of_kind.size() > 4 * live + kFewTimers) {
    std::erase_if(of_kind, [this](const Timer& timer) { return is_stale(timer); });
    std::make_heap(of_kind.begin(), of_kind.end(), std::greater<>());
  }
  of_kind.push_back({due, ++last_number_, slot});
  std::push_heap(of_kind.begin(), of_kind.end(), std::greater<>());
}

void InProgress::erase_directory(DirId dir) {
  if (!in_directory_.contains(dir)) return;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].dir == dir) take_slot(slot);
  }
}

std::vector<std::string> InProgress::unlisted(DirId dir, std::uint32_t listing) const {
  std::vector<std::string> names;
  if (!in_directory_.contains(dir)) return names;
  for (const Candidate& one : slots_) {
    if (one.dir == dir && one.listing != listing) names.push_back(one.name);
  }
  return names;
}

/// A timer whose file was taken, or put again for another time, is of no use.
void InProgress::drop_stale(Timers& timers) {
  while (!timers.empty() && is_stale(timers.front())) {
    std::pop_heap(timers.begin(), timers.end(), std::greater<>());
    timers.pop_back();
  }
}

void InProgress::take_due(Timers& timers, Nanos now, std::size_t most,
                          std::vector<Candidate>& out) {
  for (; most > 0; --most) {
    drop_stale(timers);
    if (timers.empty() || timers.front().due > now) return;
    out.push_back(take_slot(timers.front().slot));
  }
}

std::vector<Candidate> InProgress::take_due(Nanos now, std::size_t most, std::size_t finds) {
  std::vector<Candidate> due;
  take_due(timers_, now, most, due);
  take_due(find_timers_, now, std::min(most - due.size(), finds), due);
  return due;
}

std::optional<Nanos> InProgress::deadline(bool with_finds) {
  drop_stale(timers_);
  drop_stale(find_timers_);
  std::optional<Nanos> first;
  if (!timers_.empty()) first = timers_.front().due;
  if (with_finds && !find_timers_.empty() && (!first || find_timers_.front().due < *first)) {
    first = find_timers_.front().due;
  }
  return first;
}

}  // namespace inotifier
