#include "daemon/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.hpp"

namespace inotifier {

DaemonSignals::DaemonSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  fd_ = UniqueFd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) throw SetupError(describe("signalfd", "", errno) + ": raise the limit of open files");
}

DaemonSignals::Taken DaemonSignals::take() {
  Taken taken;
  signalfd_siginfo info{};
  while (read(fd_.get(), &info, sizeof info) == sizeof info) {
    const auto is = [&info](int signal) { return info.ssi_signo == static_cast<unsigned>(signal); };
    taken.stop = taken.stop || is(SIGTERM) || is(SIGINT);
    taken.reload = taken.reload || is(SIGHUP);
    taken.rescan = taken.rescan || is(SIGUSR1);
    taken.child = taken.child || is(SIGCHLD);
  }
  return taken;
}

}  // namespace inotifier
