#include "daemon/runner.hpp"

#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

namespace inotifier {
namespace {

// Two kernel queues' worth: what a busy pipeline leaves is better here than overflowing there.
constexpr std::size_t kMailboxBytes = 4U << 20U;
// About 1,000 records: some 10 ms of work.
constexpr std::size_t kBytesPerTurn = 32U << 10U;
// After SIGTERM; what is not told by then is told by the next start.
constexpr Nanos kStopWithin = 300 * kMillisecond;

/// Signals come through a descriptor; blocked before any thread is made, so that none gets them.
UniqueFd take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) throw SetupError(describe("signalfd", "", errno) + ": raise the limit of open files");
  return fd;
}

}  // namespace

Runner::Runner(const Config& config, JournalOptions journal, Owner& owner)
    : signals_(take_signals()),
      owner_(owner),
      journal_(std::move(journal), read_clocks().wall),
      pipeline_(
          fs_, journal_,
          [this](std::string_view topic, std::string_view body) { owner_.publish(topic, body); }),
      mailbox_(0, kMailboxBytes),
      source_(mailbox_) {
  for (const WatchConfig& watch : config.watches) add(watch);
}

void Runner::add(const WatchConfig& watch) {
  const std::size_t number = watches_++;
  mailbox_.add_watch();
  const bool remote = watch.backend != WatchConfig::Backend::kInotify && is_remote(watch.path);
  running_.push_back({watch, number, remote});
  if (remote) return add_poller(watch);
  int error = 0;
  Notifier* notifier = nullptr;
  std::string_view reason;
  std::string detail;
  if (watch.backend != WatchConfig::Backend::kPoll) {
    notifier = source_.add_instance(number, error);
    if (notifier == nullptr) {
      reason = "instance_limit";
      detail = describe("inotify_init1", watch.path, error) +
               ": raise fs.inotify.max_user_instances (sysctl "
               "fs.inotify.max_user_instances=1024), or the limit of open files. Until then "
               "this watch is polled";
    }
  }
  pipeline_.add_watch(watch, notifier, reason, detail);
}

void Runner::add_poller(const WatchConfig& watch) {
  Poller& poller = *pollers_.emplace_back(std::make_unique<Poller>(poll_box_));
  const std::size_t number = pipeline_.add_remote_watch(
      watch,
      {[&poller](std::vector<std::string> paths) { poller.ask(std::move(paths)); },
       [&poller] { poller.hurry(); }},
      "a network or FUSE file system: writes of other machines give no events and leases do not "
      "tell; it is polled, and a file is finished when it was quiet");
  Poller::Options options;
  options.watch = number;
  options.root = watch.path;
  options.recursive = watch.recursive;
  options.interval = watch.poll_interval;
  options.enters = pipeline_.enters(number);
  poller.start(std::move(options));
}

void Runner::remove(const Running& running) {
  pipeline_.remove_watch(running.number);
  source_.remove_instance(running.number);
  std::erase_if(pollers_, [&](const auto& one) { return one->watch() == running.number; });
}

/// The kernel's queues hold what happens meanwhile: a watch that stays, stays as it is, and one
/// with other options keeps its instance.
void Runner::reload(const std::vector<WatchConfig>& watches) {
  source_.stop();
  std::vector<Running> before = std::exchange(running_, {});
  std::vector<const WatchConfig*> fresh;
  for (const WatchConfig& watch : watches) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const Running& running) {
      const WatchConfig& old = running.config;
      return old.name == watch.name && old.path == watch.path && old.backend == watch.backend &&
             old.recursive == watch.recursive && (!running.polled_remotely || old == watch);
    });
    if (known == before.end()) {
      fresh.push_back(&watch);
      continue;
    }
    if (known->config != watch) {
      log::info("watch {}: other options", watch.name);
      pipeline_.change_watch(known->number, watch);
    }
    running_.push_back({watch, known->number, known->polled_remotely});
    before.erase(known);
  }
  for (const Running& gone : before) {
    log::info("watch {}: removed", gone.config.name);
    remove(gone);
  }
  for (const WatchConfig* watch : fresh) {
    log::info("watch {}: {} ({})", watch->name, watch->path, watch->processor);
    add(*watch);
  }
  source_.start();
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
    for (const auto& chunk : chunks) inputs.push_back({chunk.watch, chunk.position, chunk.bytes});
    const Now now = read_clocks();
    results.clear();
    if (!blocked) poll_box_.take(results);
    const bool more = pipeline_.step(now, inputs, results);
    const auto owners = owner_.after_turn(now);
    if (stopped_) return;
    // What has been read already is told before the end, if that does not take long.
    if (stop_by_ != 0 && (blocked || now.mono >= stop_by_ || (!more && mailbox_.empty()))) return;
    if (reload_asked_ && !pipeline_.blocked()) {
      reload_asked_ = false;
      if (const auto watches = owner_.on_hangup()) reload(*watches);
      continue;
    }

    std::optional<Nanos> due = pipeline_.deadline();
    if (owners && (!due || *owners < *due)) due = owners;
    timespec wait{0, 0};
    if (!more && due) {
      const Nanos left = std::max<Nanos>(0, *due - read_clocks().mono);
      wait = {left / kSecond, left % kSecond};
    }
    const short wanted = pipeline_.blocked() ? 0 : POLLIN;
    std::array<pollfd, 4> polled{{{mailbox_.filled_fd(), wanted, 0},
                                  {signals_.get(), POLLIN, 0},
                                  {poll_box_.filled_fd(), wanted, 0},
                                  {owner_.wake_fd(), POLLIN, 0}}};
    ppoll(polled.data(), polled.size(), more || due ? &wait : nullptr, nullptr);
    if (polled[1].revents != 0) on_signals();
    if (stopped_) return;
  }
}

void Runner::on_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGTERM:
      case SIGINT:
        if (stop_by_ == 0) stop_by_ = read_clocks().mono + kStopWithin;
        break;
      case SIGUSR1:
        pipeline_.rescan_all();
        break;
      case SIGCHLD:
        owner_.on_child();
        break;
      case SIGHUP:
        reload_asked_ = true;
        break;
      default:
        break;
    }
  }
}

}  // namespace inotifier
