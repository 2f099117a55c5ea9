#include "process/move_pairing.hpp"

#include <algorithm>
#include <utility>

namespace inotifier {

std::optional<MovePairing::Outcome> MovePairing::add_from(std::uint32_t cookie, MoveHalf half,
                                                          Nanos now) {
  const auto found = halves_.find(cookie);
  if (found != halves_.end() && !found->second.is_from) {
    Outcome outcome{std::move(half), std::move(found->second.half)};
    halves_.erase(found);
    return outcome;
  }
  halves_[cookie] = {std::move(half), true, now + kFromWait};
  from_order_.emplace_back(now + kFromWait, cookie);
  return std::nullopt;
}

std::optional<MovePairing::Outcome> MovePairing::add_to(std::uint32_t cookie, MoveHalf half,
                                                        Nanos now, bool others) {
  const auto found = halves_.find(cookie);
  if (found != halves_.end() && found->second.is_from) {
    Outcome outcome{std::move(found->second.half), std::move(half)};
    halves_.erase(found);
    return outcome;
  }
  if (!others) return Outcome{std::nullopt, std::move(half)};
  halves_[cookie] = {std::move(half), false, now + kToWait};
  to_order_.emplace_back(now + kToWait, cookie);
  return std::nullopt;
}

std::optional<MovePairing::Outcome> MovePairing::expire(Nanos now) {
  for (auto* order : {&to_order_, &from_order_}) {
    while (!order->empty() && order->front().first <= now) {
      const auto [until, cookie] = order->front();
      order->pop_front();
      const auto found = halves_.find(cookie);
      if (found == halves_.end() || found->second.until != until) continue;  // found its partner
      Waiting waiting = std::move(found->second);
      halves_.erase(found);
      if (waiting.is_from) return Outcome{std::move(waiting.half), std::nullopt};
      return Outcome{std::nullopt, std::move(waiting.half)};
    }
  }
  return std::nullopt;
}

std::optional<Nanos> MovePairing::deadline() const {
  if (halves_.empty()) return std::nullopt;
  Nanos first = INT64_MAX;
  if (!from_order_.empty()) first = from_order_.front().first;
  if (!to_order_.empty()) first = std::min(first, to_order_.front().first);
  return first;
}

}  // namespace inotifier
