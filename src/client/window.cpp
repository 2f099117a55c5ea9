#include "client/window.hpp"

#include <algorithm>
#include <utility>

#include "inotifier/wire.hpp"

namespace inotifier {

void Window::take_fetched(Reply reply, std::uint64_t end) {
  cursor_ = std::max(cursor_, end);
  read_ = std::max(read_, cursor_);
  take_up(std::move(reply), false);
}

void Window::take_read_ahead(Reply reply, std::uint64_t end) {
  read_ = std::max(read_, end);
  take_up(std::move(reply), true);
}

void Window::take_up(Reply reply, bool ahead) {
  queue_ = std::move(reply);
  next_event_ = 0;
  queue_is_ahead_ = ahead;
  queue_is_used_up_ = false;
  peek();
}

void Window::peek() {
  while (!peeked_ && next_event_ < queue_.events.size()) {
    std::optional<Event> event;
    try {
      event = decode(queue_.events[next_event_]);
    } catch (const WireError&) {
    }
    ++next_event_;
    const auto position = event ? position_of(event->sequence) : std::nullopt;
    if (!position) {
      ++malformed_;
    } else if (*position > prefix_ && !given_out_.contains(*position)) {
      peeked_ = std::move(event);
      peeked_position_ = *position;
    }  // else given out before, or its ack was forgotten by a power cut
  }
  if (peeked_ || queue_is_used_up_) return;
  queue_is_used_up_ = true;
  if (!queue_is_ahead_) seen_ = std::max(seen_, cursor_);
  queue_ = Reply();
  next_event_ = 0;
}

std::optional<Event> Window::take() {
  if (!peeked_) return std::nullopt;
  std::optional<Event> event = std::exchange(peeked_, std::nullopt);
  // Usually the newest of all, so that its place in the map is known.
  given_out_.try_emplace(given_out_.end(), peeked_position_, false);
  ++undone_;
  if (!queue_is_ahead_) seen_ = std::max(seen_, peeked_position_);
  peek();
  return event;
}

bool Window::is_open(std::uint64_t position) const {
  const auto found = given_out_.find(position);
  return found != given_out_.end() && !found->second;
}

void Window::finish(std::uint64_t position) {
  const auto found = given_out_.find(position);
  if (found == given_out_.end() || found->second) return;
  found->second = true;
  --undone_;
}

void Window::finish_up_to(std::uint64_t position) {
  const auto end = given_out_.upper_bound(position);
  for (auto at = given_out_.begin(); at != end; ++at) {
    if (!std::exchange(at->second, true)) --undone_;
  }
}

void Window::finish_all() {
  for (auto& [position, finished] : given_out_) finished = true;
  undone_ = 0;
}

std::uint64_t Window::ackable() {
  auto at = given_out_.begin();
  while (at != given_out_.end() && at->second && at->first <= seen_) {
    prefix_ = at->first;
    at = given_out_.erase(at);
  }
  if (at == given_out_.end() || at->first > seen_) prefix_ = seen_;
  return prefix_;
}

void Window::clear() {
  const std::uint64_t malformed = malformed_;
  *this = Window();
  malformed_ = malformed;
}

}  // namespace inotifier
