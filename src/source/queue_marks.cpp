#include "source/queue_marks.hpp"

namespace inotifier {

void QueueMarks::end_turn() {
  if (std::exchange(noted_, false) && notifier_ != nullptr) {
    ends_.emplace_back(turn_, notifier_->queued_bytes());
  }
}

void QueueMarks::handling(std::uint64_t position) {
  while (!ends_.empty() && ends_.front().second <= position) ends_.pop_front();
}

bool QueueMarks::queued_before_end_of(std::uint32_t turn, std::uint64_t position) const {
  if (turn == turn_) return true;
  for (const auto& [number, end] : ends_) {
    if (number == turn) return position < end;
  }
  return false;
}

bool QueueMarks::caught_up_with(std::uint32_t turn) const {
  if (turn == turn_) return notifier_ == nullptr;
  for (const auto& [number, end] : ends_) {
    if (number == turn) return handled_ >= end;
  }
  return true;
}

}  // namespace inotifier
