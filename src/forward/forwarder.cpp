#include "forward/forwarder.hpp"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/rfc3339.hpp"

namespace inotifier::forward {
namespace {

using std::chrono::milliseconds;

/// What a stop gives to that which was sent already.
constexpr Nanos kDrain = 10 * kSecond;
constexpr milliseconds kFlush{5000};
/// Between looks at the clock: the status line, and until_empty.
constexpr Nanos kTurn = kSecond;

Nanos mono() { return read_clocks().mono; }

UniqueFd readable_any(int first, int second) {
  UniqueFd set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set) throw SetupError(describe("epoll_create1", "", errno));
  for (const int fd : {first, second}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw SetupError(describe("epoll_ctl", "", errno));
    }
  }
  return set;
}

}  // namespace

Forwarder::Forwarder(Options options, Broker& broker)
    : options_(std::move(options)),
      broker_(broker),
      wake_(readable_any(signals_.fd(), broker.fd())),
      backoff_(std::random_device{}()),
      sendings_(options_.limits, std::random_device{}()),
      progress_(::isatty(STDERR_FILENO) != 0, mono()),
      consumer_(consumer_options(options_)) {}

Consumer::Options Forwarder::consumer_options(const Options& options) {
  Consumer::Options result = options.consumer;
  result.window = kWindow;
  result.wake_fd = wake_.get();
  if (options.until_empty) result.wait = milliseconds(0);
  result.on_state = [this](Consumer::State state) {
    progress_.clear_line();
    if (state == Consumer::State::kStandby) {
      log::info("another client works as {}; standing by", options_.consumer.name);
    } else if (state == Consumer::State::kDisconnected) {
      log::warning("the connection to the daemon is lost; trying again");
    } else {
      log::info("works as {}", options_.consumer.name);
    }
  };
  result.on_lost = [this](const Consumer::Lost& lost) {
    progress_.clear_line();
    log::error("lost: the events from {} to {} are no longer kept", lost.first, lost.last);
  };
  result.on_reset = [this](const Consumer::Reset& reset) {
    progress_.clear_line();
    log::warning("{}; what was not acked comes again", reset.message);
    sendings_.clear();
  };
  return result;
}

int Forwarder::run() {
  for (;;) {
    handle_signals();
    connect(mono());
    collect();
    if (finished()) break;
    send();
    show_progress();
    take();
  }
  progress_.clear_line();
  const bool told = consumer_.flush(kFlush);
  log::info("{} sent, {} failed, {} not sent", counts_.done, counts_.rejected, sendings_.size());
  if (!told)
    log::warning("the daemon did not hear of the last acks; what they are for is sent again");
  return 0;
}

bool Forwarder::finished() {
  if (stops_ > 0) return sendings_.in_flight() == 0 || stops_ > 1 || mono() >= stop_until_;
  if (!options_.until_empty || sendings_.size() > 0) return false;
  // A stand-by has nothing to wait for either.
  return consumer_.caught_up() || consumer_.state() == Consumer::State::kStandby;
}

void Forwarder::handle_signals() {
  const int count = signals_.count();
  if (count == 0) return;
  if (stops_ == 0) stop_until_ = mono() + kDrain;
  stops_ += count;
}

void Forwarder::connect(Nanos now) {
  if (connected_ || now < connect_at_ || stops_ > 0) return;
  try {
    broker_.connect();
  } catch (const BrokerError& error) {
    broker_lost(error);
    return;
  }
  connected_ = true;
  progress_.clear_line();
  log::info("connected to {}", options_.to);
}

void Forwarder::broker_lost(const BrokerError& error) {
  sendings_.lost();
  progress_.clear_line();
  // A connection that breaks at its first event is no better than none.
  const Nanos delay = backoff_.after(++failed_connects_);
  connect_at_ = mono() + delay;
  connected_ = false;
  log::warning("{}: {}; trying again in {:.1f} s", options_.to, error.what(),
               static_cast<double>(delay) / 1e9);
}

void Forwarder::collect() {
  if (!connected_) return;
  try {
    for (const Outcome& outcome : broker_.collect()) {
      const auto settled = sendings_.settle(outcome, mono());
      if (!settled) continue;
      failed_connects_ = 0;
      if (settled->rejected) {
        ++counts_.rejected;
        progress_.clear_line();
        log::error("{} {}: {}", settled->event.type, settled->event.subject, settled->words);
        consumer_.fail(settled->event, settled->words, settled->tries);
      } else {
        ++counts_.done;
        consumer_.done(settled->event);
      }
    }
  } catch (const BrokerError& error) {
    broker_lost(error);
  }
  watch_health();
}

void Forwarder::watch_health() {
  if (sendings_.complaint() == complaint_) return;
  complaint_ = sendings_.complaint();
  progress_.clear_line();
  if (complaint_.empty()) {
    log::info("{}: takes events again", options_.to);
  } else {
    log::warning("{}: {}; trying again", options_.to, complaint_);
  }
}

void Forwarder::send() {
  if (!connected_ || stops_ > 0) return;
  try {
    sendings_.send(broker_, mono());
  } catch (const BrokerError& error) {
    broker_lost(error);
  }
}

milliseconds Forwarder::pause() const {
  const Nanos now = mono();
  Nanos until = now + kTurn;
  if (!connected_) {
    until = std::min(until, connect_at_);
  } else if (const auto due = sendings_.next_due(); due && *due > now) {
    until = std::min(until, *due);
  }
  return std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(std::max<Nanos>(until - now, 0)));
}

void Forwarder::take() {
  const milliseconds longest = pause();
  // With until_empty next() does not wait: with nothing more to come, it is the answers that count.
  const bool only_answers = options_.until_empty && nothing_more_ && sendings_.size() > 0;
  nothing_more_ = false;
  if (stops_ > 0 || !has_room() || only_answers) {
    consumer_.keep_alive(longest);
    return;
  }
  auto event = consumer_.next(longest);
  nothing_more_ = !event;
  while (event) {
    sendings_.add(std::move(*event));
    if (!has_room() || consumer_.in_hand() == 0) return;
    event = consumer_.next(milliseconds(0));
  }
}

void Forwarder::show_progress() {
  const Now now = read_clocks();
  if (!progress_.due(now.mono)) return;
  counts_.in_flight = static_cast<std::int64_t>(sendings_.in_flight());
  const Event* oldest = sendings_.oldest();
  const auto time = oldest != nullptr ? parse_rfc3339(oldest->time) : std::nullopt;
  counts_.lag = time ? std::max<Nanos>(now.wall - *time, 0) : 0;
  progress_.show(counts_, now.mono);
}

}  // namespace inotifier::forward
