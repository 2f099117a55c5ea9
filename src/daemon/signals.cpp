#include "daemon/signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/signals.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

// systemd, Docker and Kubernetes wait longer before they kill; nobody waits longer at a terminal.
constexpr Nanos kEndWithin = 900 * kMillisecond;

/// `hangup_reloads`: SIGHUP is none that a terminal sends.
sigset_t taken_signals(bool hangup_reloads) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  if (hangup_reloads || !is_ignored(SIGHUP)) sigaddset(&set, SIGHUP);
  if (!is_ignored(SIGINT)) sigaddset(&set, SIGINT);
  return set;
}

/// Nothing is lost: each commit of the journal is whole, and the next start looks again. The log
/// may be what hangs: it is written to only if that cannot wait.
[[noreturn]] void end_now() {
  constexpr std::string_view kText = "inotifier: something does not answer; ended all the same\n";
  pollfd log{STDERR_FILENO, POLLOUT, 0};
  const bool ready = poll(&log, 1, 0) == 1 && (log.revents & POLLOUT) != 0;
  if (ready) static_cast<void>(!write(STDERR_FILENO, kText.data(), kText.size()));
  _exit(0);
}

}  // namespace

/// The thread may live until the process ends.
struct DaemonSignals::Shared {
  sigset_t set{};
  UniqueFd filled{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::mutex mutex;
  Taken taken;
  std::atomic<bool> closed = false;
  pthread_t thread{};
};

DaemonSignals::DaemonSignals(bool hangup_reloads) : shared_(std::make_shared<Shared>()) {
  shared_->set = taken_signals(hangup_reloads);
  pthread_sigmask(SIG_BLOCK, &shared_->set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  if (!shared_->filled) {
    throw SetupError(describe("eventfd", "", errno) + ": raise the limit of open files");
  }
  try {
    std::thread thread([shared = shared_] { run(shared); });
    shared_->thread = thread.native_handle();
    thread.detach();
  } catch (const std::system_error& error) {
    throw SetupError(describe("pthread_create", "", error.code().value()) +
                     ": raise the limit of processes");
  }
}

DaemonSignals::~DaemonSignals() {
  if (take().stop) return;
  shared_->closed = true;
  pthread_kill(shared_->thread, SIGCHLD);  // only to wake it
}

DaemonSignals::Taken DaemonSignals::take() {
  eventfd_t count = 0;
  eventfd_read(shared_->filled.get(), &count);
  const std::lock_guard lock(shared_->mutex);
  Taken taken = shared_->taken;
  shared_->taken = {};
  shared_->taken.stop = taken.stop;  // for good
  return taken;
}

int DaemonSignals::fd() const { return shared_->filled.get(); }

void DaemonSignals::run(const std::shared_ptr<Shared>& shared) {
  const sigset_t set = shared->set;
  Nanos end_by = 0;  // monotonic; 0 = nobody asked
  while (!shared->closed) {
    int signal = 0;
    if (end_by == 0) {
      sigwait(&set, &signal);
    } else {
      const Nanos left = std::max<Nanos>(0, end_by - read_clocks().mono);
      const timespec wait{left / kSecond, left % kSecond};
      signal = sigtimedwait(&set, nullptr, &wait);
      if (signal < 0 && errno == EAGAIN) end_now();
    }
    const std::lock_guard lock(shared->mutex);
    Taken& taken = shared->taken;
    if (signal == SIGTERM || signal == SIGINT) {
      taken.stop = true;
      if (end_by == 0) end_by = read_clocks().mono + kEndWithin;
    }
    taken.reload = taken.reload || signal == SIGHUP;
    taken.rescan = taken.rescan || signal == SIGUSR1;
    taken.child = taken.child || signal == SIGCHLD;
    eventfd_write(shared->filled.get(), 1);
  }
}

}  // namespace inotifier
