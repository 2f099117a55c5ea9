#include "source/rescans.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"

namespace inotifier {
namespace {

constexpr Nanos kBackOffFirst = kSecond;
constexpr Nanos kBackOffMost = 30 * kSecond;
constexpr Nanos kBackOffForget = 60 * kSecond;

}  // namespace

void Rescans::ask(std::string_view reason, Origin origin, bool absence_counts) {
  ++doubts_;
  again_ = again_ || !absence_counts;
  if (!due_) {
    due_ = Due{std::string(reason), origin, absence_counts};
    return;
  }
  // A poll must not hide a stronger reason.
  if (due_->origin == Origin::kPoll) {
    due_->reason = reason;
    due_->origin = origin;
  }
  due_->absence_counts = due_->absence_counts && absence_counts;
}

Nanos Rescans::due_at(Nanos now) const {
  return due_->origin == Origin::kPoll ? now : std::max(now, last_end_ + back_off_);
}

Rescans::Due Rescans::take(Nanos now) {
  Due due = *std::exchange(due_, std::nullopt);
  if (due.origin != Origin::kPoll && due.origin != Origin::kStartup) {
    const bool soon = now - last_end_ < kBackOffForget;
    back_off_ = soon ? std::clamp(2 * back_off_, kBackOffFirst, kBackOffMost) : 0;
  }
  if (std::exchange(again_, false)) {
    due_ = Due{due.reason, due.origin, true};
    back_off_ = std::max(back_off_, kBackOffFirst);
  }
  return due;
}

void Rescans::ended(Origin origin, Nanos now) {
  if (origin != Origin::kPoll) last_end_ = now;
}

}  // namespace inotifier
