#include "source/move_pairing.hpp"

#include <algorithm>

namespace inotifier {

void MovePairing::add_from(std::uint32_t cookie, MoveHalf half, Nanos now) {
  const Key key{cookie, half.watch};
  halves_[key] = {std::move(half), true, false, now + kFromWait};
  from_order_.emplace_back(now + kFromWait, key);
}

std::optional<MovePairing::Outcome> MovePairing::add_to(std::uint32_t cookie, MoveHalf half,
                                                        Nanos now, bool others) {
  const Key key{cookie, half.watch};
  const auto found = halves_.find(key);
  if (found != halves_.end() && found->second.is_from && !found->second.told) {
    Outcome outcome{std::nullopt, std::move(half), false};
    if (others) {
      // It stays for a while: a watch that overlaps with this one may see the other half only.
      outcome.from = found->second.half;
      found->second.told = true;
    } else {
      outcome.from = std::move(found->second.half);
      halves_.erase(found);
    }
    return outcome;
  }
  if (!others) return Outcome{std::nullopt, std::move(half), false};
  halves_[key] = {std::move(half), false, false, now + kToWait};
  to_order_.emplace_back(now + kToWait, key);
  return std::nullopt;
}

std::optional<MovePairing::Outcome> MovePairing::expire(Nanos now) {
  while (!to_order_.empty() && to_order_.front().first <= now) {
    const auto [until, key] = to_order_.front();
    to_order_.pop_front();
    const auto found = halves_.find(key);
    if (found == halves_.end() || found->second.is_from || found->second.until != until) continue;
    Outcome outcome{std::nullopt, std::move(found->second.half), false};
    halves_.erase(found);
    // By now every queue has been read up to the other half, if any watch has it.
    for (auto from = halves_.lower_bound({key.first, 0});
         from != halves_.end() && from->first.first == key.first; ++from) {
      if (!from->second.is_from) continue;
      outcome.from = from->second.half;
      outcome.from_is_told = from->second.told;
      from->second.told = true;
      break;
    }
    return outcome;
  }
  while (!from_order_.empty() && from_order_.front().first <= now) {
    const auto [until, key] = from_order_.front();
    from_order_.pop_front();
    const auto found = halves_.find(key);
    if (found == halves_.end() || !found->second.is_from || found->second.until != until) continue;
    PendingHalf waiting = std::move(found->second);
    halves_.erase(found);
    if (waiting.told) continue;
    return Outcome{std::move(waiting.half), std::nullopt, false};
  }
  return std::nullopt;
}

std::optional<Nanos> MovePairing::deadline() const {
  if (halves_.empty()) return std::nullopt;
  Nanos first = INT64_MAX;
  if (!from_order_.empty()) first = from_order_.front().first;
  if (!to_order_.empty()) first = std::min(first, to_order_.front().first);
  return first == INT64_MAX ? std::nullopt : std::optional(first);
}

}  // namespace inotifier
