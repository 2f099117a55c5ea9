#include "source/renames.hpp"

#include <utility>

#include "base/path.hpp"

namespace inotifier {

std::size_t Renames::add(Watch& watch) {
  watches_[++last_] = &watch;
  return last_;
}

void Renames::on_from(std::uint32_t cookie, MoveHalf half, Nanos now) {
  pairing_.add_from(cookie, std::move(half), now);
}

void Renames::on_to(std::uint32_t cookie, MoveHalf half, Nanos now) {
  const auto outcome = pairing_.add_to(cookie, std::move(half), now, watches_.size() > 1);
  if (outcome) settle(*outcome);
}

void Renames::on_time(Nanos now) {
  while (const auto outcome = pairing_.expire(now)) settle(*outcome);
}

Renames::Watch* Renames::watch_of(const std::optional<MoveHalf>& half) const {
  const auto found = half ? watches_.find(half->watch) : watches_.end();
  return found == watches_.end() ? nullptr : found->second;
}

void Renames::settle(const MovePairing::Outcome& outcome) {
  const auto& [from, to, from_is_told] = outcome;
  Watch* left = watch_of(from);
  Watch* entered = watch_of(to);
  if (left != nullptr && left == entered) return entered->on_moved(*from, *to);
  if (left != nullptr && !from_is_told) left->on_left(*from);
  if (entered != nullptr) {
    entered->on_arrived(*to, left != nullptr ? join(left->root_path(), from->path) : "");
  }
}

}  // namespace inotifier
