#include "support/live_pipeline.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/clock.hpp"
#include "inotifier/wire.hpp"

namespace inotifier::testing {
namespace {

JournalOptions options_of(const std::string& path) {
  JournalOptions options;
  options.path = path;
  options.daemon_name = "test";
  return options;
}

}  // namespace

LivePipeline::LivePipeline(const std::vector<WatchConfig>& watches, const std::string& journal,
                           bool shared)
    : journal_(options_of(journal), read_clocks()),
      mailbox_(kMailboxBytes),
      source_(mailbox_),
      pipeline_(fs_, journal_, [this](std::string_view, std::string_view body) {
        Event event = decode(body);
        const std::lock_guard lock(mutex_);
        events_.push_back(std::move(event));
      }) {
  const auto add_instance = [this](std::uint64_t position) {
    int error = 0;
    const auto added = source_.add_instance(position, error);
    if (!added) throw std::runtime_error(std::string("inotify_init1: ") + std::strerror(error));
    return &pipeline_.add_instance(added->number, added->notifier);
  };
  pipeline_.set_other_instance(
      [=](std::size_t, std::uint64_t position, int&) { return add_instance(position); });
  SharedInstance* instance = nullptr;
  for (const WatchConfig& watch : watches) {
    const bool polled = watch.backend == WatchConfig::Backend::kPoll;
    if (!polled && (instance == nullptr || !shared)) instance = add_instance(0);
    pipeline_.add_watch(watch, polled ? nullptr : instance);
  }
  source_.start();
  thread_ = std::thread([this] { run(); });
}

LivePipeline::~LivePipeline() {
  give(Order::kStop);
  thread_.join();
  source_.stop();
}

void LivePipeline::take(std::vector<Event>& events) {
  const std::lock_guard lock(mutex_);
  for (Event& event : std::exchange(events_, {})) events.push_back(std::move(event));
}

void LivePipeline::rescan() { give(Order::kRescan); }

void LivePipeline::hold(bool on) { give(on ? Order::kHold : Order::kLetGo); }

void LivePipeline::give(Order order) {
  std::unique_lock lock(mutex_);
  order_ = order;
  wake_.raise();
  obeyed_.wait(lock, [this] { return order_ == Order::kNone; });
}

/// False if it is to stop.
bool LivePipeline::obey() {
  wake_.clear();
  while (true) {
    std::unique_lock lock(mutex_);
    const Order order = std::exchange(order_, Order::kNone);
    obeyed_.notify_all();
    lock.unlock();
    if (order == Order::kRescan) pipeline_.rescan_all();
    if (order == Order::kStop) return false;
    if (order != Order::kHold) return true;
    pollfd polled{wake_.fd(), POLLIN, 0};
    poll(&polled, 1, -1);
    wake_.clear();
  }
}

void LivePipeline::run() {
  constexpr std::size_t kBytesPerTurn = 256U << 10U;
  std::vector<Mailbox::Chunk> chunks;
  std::vector<Input> inputs;
  while (true) {
    mailbox_.take(chunks, kBytesPerTurn);
    inputs.clear();
    for (const auto& chunk : chunks)
      inputs.push_back({chunk.instance, chunk.position, chunk.bytes});
    const bool more = pipeline_.step(read_clocks(), inputs);
    const std::optional<Nanos> due = pipeline_.deadline();
    timespec wait{0, 0};
    if (!more && due) {
      const Nanos left = std::max<Nanos>(0, *due - read_clocks().mono);
      wait = {left / kSecond, left % kSecond};
    }
    std::array<pollfd, 3> polled{
        {{mailbox_.filled_fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}, {prober_.fd(), POLLIN, 0}}};
    ppoll(polled.data(), polled.size(), more || due ? &wait : nullptr, nullptr);
    if (polled[2].revents != 0) prober_.acknowledge();
    if (polled[1].revents != 0 && !obey()) return;
  }
}

}  // namespace inotifier::testing
