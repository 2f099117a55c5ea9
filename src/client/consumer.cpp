// The durable client: what its caller does, and waiting.
#include <fmt/core.h>

#include <algorithm>
#include <random>
#include <utility>

#include "client/consumer_impl.hpp"

namespace inotifier {
namespace {

/// At the end.
constexpr milliseconds kFarewell{1000};
constexpr std::size_t kLongestReason = 4096;

std::string random_text() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", random());
  return text;
}

}  // namespace

Consumer::Impl::Impl(Options given)
    : options(std::move(given)),
      link(static_cast<const Connection&>(options)),
      client(random_text()) {
  stream = text_in(link.hello(), "stream");
  options.limit = std::clamp(options.limit, 1, 4096);
  options.lease = std::clamp(options.lease, std::chrono::seconds(1), std::chrono::seconds(3600));
  // Waiting must not outlast the lease.
  longest_wait =
      std::clamp<milliseconds>(options.wait, milliseconds(0),
                               std::min<milliseconds>(milliseconds(60'000), options.lease / 2));
  filters_known = !options.types.empty() && !options.watches.empty();
}

void Consumer::Impl::look() {
  receive();
  const auto now = Clock::now();
  const auto lose = [&] {
    enter(State::kDisconnected);
    renew_at = std::max(renew_at, last_renewal + backoff);
    renewal_due = true;
  };
  try {
    if (link.disconnected()) lose();
  } catch (const ConnectionError&) {
    lose();  // who calls again asks again
    throw;
  }
  for (const Request& request : requests) {
    if (now < request.deadline) continue;
    enter(State::kDisconnected);
    renewal_due = true;
    renew_at = now;
  }
  if (!renewal_due || now < renew_at) return;
  renewal_due = false;
  last_renewal = now;
  backoff = std::min(backoff * 2, kLongestBackoff);
  link.renew();
  for (Request& request : requests) {
    link.send(request.body);
    request.deadline = now + request.patience;
  }
}

Clock::time_point Consumer::Impl::next_turn(Clock::time_point deadline) {
  const auto now = Clock::now();
  auto next = deadline;
  const auto at_the_latest = [&](Clock::time_point time) { next = std::min(next, time); };
  for (const Request& request : requests) at_the_latest(request.deadline);
  if (renewal_due) at_the_latest(renew_at);
  if (may_tell()) {
    if (may_fail()) at_the_latest(fail_at);
    if (may_ack()) at_the_latest(next_ack());
    if (may_touch()) at_the_latest(next_touch());
  }
  if (ask_at > now) at_the_latest(ask_at);
  return next;
}

bool Consumer::Impl::wait(Clock::time_point deadline) {
  const auto until = next_turn(deadline);
  if (link.wait(until, options.wake_fd) == Link::Woken::kInterrupted) return false;
  return Clock::now() < deadline;
}

Consumer::Consumer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Consumer::~Consumer() {
  if (impl_ == nullptr || !impl_->started || impl_->current == State::kDisconnected) return;
  // What these refer to may be gone already.
  impl_->options.on_state = {};
  impl_->options.on_lost = {};
  impl_->options.on_reset = {};
  try {
    const auto deadline = Clock::now() + kFarewell;
    if (impl_->current == State::kOwner) {
      flush(kFarewell / 2);
    } else {
      // Replaces the fetch that waits for its turn: it would be given the consumer after we left.
      impl_->send_fetch(milliseconds(0));
    }
    impl_->send(Impl::Kind::kRelease, "release", impl_->as_owner());
    while (impl_->under_way(Impl::Kind::kRelease) && Clock::now() < deadline) {
      impl_->link.wait(deadline, -1);
      impl_->look();
    }
  } catch (const std::exception&) {
    // Nobody can be told any more; the lease runs out by itself.
  }
}

Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&&) noexcept = default;

std::optional<Event> Consumer::next(milliseconds timeout) {
  Impl& impl = *impl_;
  impl.link.check_process();  // events in hand are the parent's
  const auto start = Clock::now();
  const auto deadline = timeout < milliseconds(0) ? Clock::time_point::max() : start + timeout;
  impl.looked = false;
  impl.call_began = impl.last_id;
  if (start >= impl.tell_at) {  // events in hand must not keep us from everything else
    impl.tell_at = start + kAckInterval / 2;
    impl.look();
    impl.tell(false);
  }
  for (;;) {
    if (auto event = impl.window.take()) return event;
    impl.look();
    if (!impl.window.nothing_in_hand()) continue;
    impl.tell(false);
    if (impl.looked && impl.longest_wait == milliseconds(0) &&
        (impl.empty || impl.current == State::kStandby)) {
      return std::nullopt;
    }
    impl.ask();
    if (!impl.wait(deadline)) return std::nullopt;
  }
}

void Consumer::keep_alive(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  do {
    impl_->look();
    impl_->tell(false);
  } while (impl_->wait(deadline));
}

std::size_t Consumer::in_hand() const { return impl_->window.in_hand(); }

bool Consumer::caught_up() const {
  return impl_->current == State::kOwner && impl_->window.undone() == 0 &&
         impl_->window.nothing_in_hand() && impl_->empty;
}

Consumer::State Consumer::state() const { return impl_->current; }

void Consumer::done(const Event& event) {
  if (const auto position = position_of(event.sequence)) impl_->window.finish(*position);
}

void Consumer::ack(const Event& event) {
  const auto position = position_of(event.sequence);
  if (!position) return;
  impl_->window.finish_up_to(*position);
}

void Consumer::ack_all() { impl_->window.finish_all(); }

void Consumer::fail(const Event& event, std::string reason, std::int64_t tries) {
  const auto position = position_of(event.sequence);
  if (!position || !impl_->window.is_open(*position)) return;
  if (reason.size() > kLongestReason) reason.resize(kLongestReason);
  impl_->failures.push_back({*position, std::move(reason), tries});
}

bool Consumer::flush(milliseconds timeout) {
  Impl& impl = *impl_;
  const auto deadline = Clock::now() + timeout;
  const std::uint64_t resets = impl.resets;
  for (;;) {
    impl.look();
    if (impl.resets != resets) return false;
    const std::uint64_t position = impl.window.ackable();
    // What was read ahead and is done can be acked only after it was fetched.
    const bool ahead = impl.window.first_is_done() && impl.window.nothing_in_hand();
    if (impl.failures.empty() && impl.acked >= position && !ahead) return true;
    if (!impl.may_tell() && impl.current != State::kDisconnected) return false;
    impl.tell(true);
    if (ahead && position == impl.window.seen() && !impl.under_way(Impl::Kind::kFetch)) {
      impl.send_fetch(milliseconds(0));
    }
    if (Clock::now() >= deadline) return false;
    impl.link.wait(impl.next_turn(deadline), -1);
  }
}

std::uint64_t Consumer::malformed() const { return impl_->malformed + impl_->window.malformed(); }

}  // namespace inotifier
