#include "daemon/runner.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.hpp"

namespace inotifier {
namespace {

// Two kernel queues' worth: what a busy pipeline leaves is better here than overflowing there.
constexpr std::size_t kMailboxBytes = 4U << 20U;
// About 1,000 records: some 10 ms of work.
constexpr std::size_t kBytesPerTurn = 32U << 10U;
// After SIGTERM; what is not told by then is told by the next start.
constexpr Nanos kStopWithin = 300 * kMillisecond;

}  // namespace

Runner::Runner(DaemonSignals& signals, const Config& config, JournalOptions journal, Owner& owner)
    : signals_(signals),
      fs_(prober_),
      owner_(owner),
      journal_(std::move(journal), read_clocks()),
      mailbox_(kMailboxBytes),
      source_(mailbox_),
      pipeline_(
          fs_, journal_,
          [this](std::string_view topic, std::string_view body) { owner_.publish(topic, body); }),
      watches_(pipeline_, source_, poll_box_) {
  for (const WatchConfig& watch : config.watches) watches_.add(watch);
}

Runner::~Runner() {
  source_.stop();
  poll_box_.close();
}

void Runner::run() {
  source_.start();
  std::vector<Mailbox::Chunk> chunks;
  std::vector<Input> inputs;
  std::vector<PollResult> results;
  while (true) {
    // While there is no room for the journal, records stay where they are; should the kernel's
    // queue overflow, a rescan finds what they told of.
    const bool blocked = pipeline_.blocked();
    chunks.clear();
    if (!blocked) mailbox_.take(chunks, kBytesPerTurn);
    inputs.clear();
    for (const auto& chunk : chunks)
      inputs.push_back({chunk.instance, chunk.position, chunk.bytes});
    const Now now = read_clocks();
    results.clear();
    if (!blocked) poll_box_.take(results);
    const bool more = pipeline_.step(now, inputs, results);
    const auto owners = owner_.after_turn(now);
    if (stopped_) return;
    // What has been read already is told before the end, if that does not take long.
    if (stop_by_ != 0 && (blocked || now.mono >= stop_by_ || (!more && mailbox_.empty()))) return;
    if (reload_asked_ && !pipeline_.blocked()) {
      reload();
      continue;
    }
    std::optional<Nanos> due = pipeline_.deadline();
    if (owners && (!due || *owners < *due)) due = owners;
    wait(more, due);
    if (stopped_) return;
  }
}

void Runner::reload() {
  reload_asked_ = false;
  const auto watches = owner_.on_hangup();
  if (!watches) return;
  source_.stop();
  if (watches_.change_to(*watches)) owner_.on_reloaded();
  source_.start();
}

void Runner::wait(bool more, std::optional<Nanos> due) {
  timespec time{0, 0};
  if (!more && due) {
    const Nanos left = std::max<Nanos>(0, *due - read_clocks().mono);
    time = {left / kSecond, left % kSecond};
  }
  const short wanted = pipeline_.blocked() ? 0 : POLLIN;
  std::array<pollfd, 5> polled{{{mailbox_.filled_fd(), wanted, 0},
                                {signals_.fd(), POLLIN, 0},
                                {poll_box_.filled_fd(), wanted, 0},
                                {owner_.wake_fd(), POLLIN, 0},
                                {prober_.fd(), wanted, 0}}};
  ppoll(polled.data(), polled.size(), more || due ? &time : nullptr, nullptr);
  if (polled[1].revents != 0) on_signals();
  if (polled[4].revents != 0) prober_.acknowledge();
}

void Runner::on_signals() {
  const DaemonSignals::Taken taken = signals_.take();
  if (taken.stop && stop_by_ == 0) stop_by_ = read_clocks().mono + kStopWithin;
  if (taken.rescan) pipeline_.rescan_all();
  if (taken.child) owner_.on_child();
  if (taken.reload) reload_asked_ = true;
}

}  // namespace inotifier
