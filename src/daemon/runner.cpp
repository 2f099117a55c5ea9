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

Runner::Runner(const Config& config, Owner& owner)
    : signals_(take_signals()),
      owner_(owner),
      journal_(config.daemon_name, read_clocks().wall),
      pipeline_(
          fs_, journal_,
          [this](std::string_view topic, std::string_view body) { owner_.publish(topic, body); }),
      mailbox_(config.watches.size(), kMailboxBytes),
      source_(mailbox_) {
  for (std::size_t i = 0; i < config.watches.size(); ++i) {
    const WatchConfig& watch = config.watches[i];
    if (watch.backend != WatchConfig::Backend::kInotify && is_remote(watch.path)) {
      add_poller(i, watch);
      continue;
    }
    int error = 0;
    Notifier* notifier = nullptr;
    std::string_view reason;
    std::string detail;
    if (watch.backend != WatchConfig::Backend::kPoll) {
      notifier = source_.add_instance(i, error);
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
}

void Runner::add_poller(std::size_t number, const WatchConfig& watch) {
  Poller& poller = *pollers_.emplace_back(std::make_unique<Poller>(poll_box_));
  pipeline_.add_remote_watch(
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

Runner::~Runner() { source_.stop(); }

void Runner::run() {
  source_.start();
  std::vector<Mailbox::Chunk> chunks;
  std::vector<Input> inputs;
  std::vector<Sightings> sightings;
  while (true) {
    mailbox_.take(chunks, kBytesPerTurn);
    inputs.clear();
    for (const auto& chunk : chunks) inputs.push_back({chunk.watch, chunk.position, chunk.bytes});
    const Now now = read_clocks();
    poll_box_.take(sightings);
    const bool more = pipeline_.step(now, inputs, sightings);
    const auto owners = owner_.after_turn(now);
    if (stopped_) return;

    std::optional<Nanos> due = pipeline_.deadline();
    if (owners && (!due || *owners < *due)) due = owners;
    timespec wait{0, 0};
    if (!more && due) {
      const Nanos left = std::max<Nanos>(0, *due - read_clocks().mono);
      wait = {left / kSecond, left % kSecond};
    }
    std::array<pollfd, 3> polled{{{mailbox_.filled_fd(), POLLIN, 0},
                                  {signals_.get(), POLLIN, 0},
                                  {poll_box_.filled_fd(), POLLIN, 0}}};
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
        stopped_ = true;
        break;
      case SIGUSR1:
        pipeline_.rescan_all();
        break;
      case SIGCHLD:
        owner_.on_child();
        break;
      case SIGHUP:
        log::warning("SIGHUP: the configuration is read at the start only; restart to change it");
        break;
      default:
        break;
    }
  }
}

}  // namespace inotifier
