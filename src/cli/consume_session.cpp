#include "cli/consume_session.hpp"

#include <fmt/core.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/error.hpp"
#include "base/messages.hpp"
#include "base/signals.hpp"
#include "cli/output.hpp"

namespace inotifier {

using std::chrono::milliseconds;

Nanos mono() { return read_clocks().mono; }

milliseconds until(Nanos time, Nanos now) {
  const Nanos left = std::max<Nanos>(time - now, 0);
  return std::min(kLongestWait, std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(left)));
}

Signals::Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGCHLD}) sigaddset(&set, number);
  for (const int number : {SIGINT, SIGHUP}) {
    if (!is_ignored(number)) sigaddset(&set, number);
  }
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
  fd_ = UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) throw SetupError(describe("signalfd", "", errno));
}

int Signals::stops() {
  int count = 0;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) ++count;
  }
  return count;
}

Session::Session(const ConsumeArguments& arguments)
    : roots(std::getenv("INOTIFIER_ROOTS")), arguments_(arguments) {
  Consumer::Options options;
  static_cast<Connection&>(options) = arguments.connection;
  options.name = arguments.name;
  options.types = arguments.types;
  options.watches = arguments.watches;
  options.start = arguments.start;
  options.create = arguments.create;
  if (!arguments.command.empty()) options.limit = 256;
  options.lease =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::nanoseconds(arguments.lease));
  if (arguments.until_empty) options.wait = milliseconds(0);
  options.wake_fd = signals.fd();
  options.on_state = [this](Consumer::State state) { tell(state); };
  options.on_lost = [](const Consumer::Lost& lost) {
    print_message("inotifier: lost: the events from {} to {} are no longer kept\n", lost.first,
                  lost.last);
  };
  options.on_reset = [this](const Consumer::Reset& reset) {
    print_message("inotifier: {}; what was not acked comes again\n", reset.message);
    if (on_reset) on_reset();
  };
  consumer.emplace(std::move(options));
}

bool Session::standby_ends() const {
  return arguments_.until_empty && consumer->state() == Consumer::State::kStandby;
}

void Session::tell(Consumer::State state) {
  const std::string name = visible(arguments_.name);
  if (state == Consumer::State::kStandby) {
    print_message("inotifier: another client works as {}; standing by\n", name);
  } else if (state == Consumer::State::kDisconnected) {
    print_message("inotifier: the connection is lost; trying again\n");
  } else if (last_) {
    print_message("inotifier: {} is ours again\n", name);
  }
  last_ = state;
}

}  // namespace inotifier
