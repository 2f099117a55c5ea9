#include "forward/sendings.hpp"

#include <algorithm>
#include <utility>

namespace inotifier::forward {

void Sendings::add(Event event) {
  const std::uint64_t number = ++last_number_;
  auto& path = paths_[path_key(event)];
  path.push_back(number);
  if (path.size() == 1) ready_.insert(number);
  all_.emplace(number, Sending{std::move(event)});
}

void Sendings::send(Broker& broker, Nanos now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    ready_.insert(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
  }
  if (now < paused_until_) return;
  const std::size_t limit = rounds_ > 0 ? 1 : limits_.in_flight;
  while (!ready_.empty() && in_flight_ < limit) {
    const std::uint64_t number = *ready_.begin();
    Sending& sending = all_.at(number);
    if (!broker.send(number, sending.event)) break;
    ready_.erase(ready_.begin());
    sending.in_flight = true;
    ++sending.tries;
    ++in_flight_;
  }
  if (in_flight_ > 0) broker.flush();
}

std::optional<Sendings::Settled> Sendings::settle(const Outcome& outcome, Nanos now) {
  const auto found = all_.find(outcome.number);
  if (found == all_.end() || !found->second.in_flight) return std::nullopt;
  Sending& sending = found->second;
  sending.in_flight = false;
  --in_flight_;
  const bool again = outcome.what == Outcome::What::kAgain;
  if (again) {
    became_unwell(outcome, now);
  } else {
    rounds_ = 0;
    complaint_.clear();
  }
  if (again && (limits_.max_tries == 0 || sending.tries < limits_.max_tries)) {
    delayed_.emplace(now + backoff_.after(sending.tries), outcome.number);
    return std::nullopt;
  }
  Settled settled{std::move(sending.event), outcome.what != Outcome::What::kDone, outcome.words,
                  sending.tries};
  all_.erase(found);
  const auto path = paths_.find(path_key(settled.event));
  path->second.pop_front();
  if (path->second.empty()) {
    paths_.erase(path);
  } else {
    ready_.insert(path->second.front());
  }
  return settled;
}

void Sendings::became_unwell(const Outcome& outcome, Nanos now) {
  if (complaint_.empty()) complaint_ = outcome.words.empty() ? "no reason given" : outcome.words;
  if (now >= paused_until_) paused_until_ = now + backoff_.after(++rounds_);
  paused_until_ = std::max(paused_until_, now + outcome.pause);
}

void Sendings::lost() {
  for (auto& [number, sending] : all_) {
    if (!sending.in_flight) continue;
    sending.in_flight = false;
    --sending.tries;  // it is not the event's fault
    ready_.insert(number);
  }
  in_flight_ = 0;
}

void Sendings::clear() {
  all_.clear();
  paths_.clear();
  ready_.clear();
  delayed_.clear();
  in_flight_ = 0;
}

std::optional<Nanos> Sendings::next_due() const {
  std::optional<Nanos> due;
  if (!ready_.empty()) due = 0;
  if (!delayed_.empty())
    due = due ? std::min(*due, delayed_.begin()->first) : delayed_.begin()->first;
  if (!due || in_flight_ >= (rounds_ > 0 ? 1 : limits_.in_flight)) return std::nullopt;
  return std::max(*due, paused_until_);
}

}  // namespace inotifier::forward
