// inotifier sub: listens live and prints.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "base/error.hpp"
#include "cli/arguments.hpp"
#include "cli/output.hpp"
#include "config/config.hpp"
#include "inotifier/client.hpp"

namespace inotifier {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A signal that comes between the look at `stopped` and poll(2) does not interrupt the latter; the
/// next look is at most this far away.
constexpr milliseconds kLongestWait{1000};

volatile std::sig_atomic_t stopped = 0;

void on_signal(int /*number*/) { stopped = 1; }

/// TERM and INT interrupt next() instead of ending the process; a reader that goes away shows as
/// EPIPE.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // without SA_RESTART
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
}

/// A type nobody publishes would be waited for in silence. It is no error: a daemon may have
/// processors of its own.
void warn_of_unknown(const std::vector<std::string>& types) {
  const auto& known = known_event_types();
  for (const std::string& type : types) {
    if (std::find(known.begin(), known.end(), type) != known.end()) continue;
    fmt::print(stderr, "inotifier: \"{}\" is none of the known event types\n", visible(type));
  }
}

void print_gap(const Gap& gap) {
  fmt::print(stderr, "inotifier: gap: events of {} after {} up to {} did not arrive\n",
             visible(gap.topic), gap.after, gap.until);
}

}  // namespace

int run_sub(const SubArguments& arguments) {
  const OutputOptions& output = arguments.output;
  Printer printer(output, stdout);
  warn_of_unknown(arguments.types);

  Subscriber::Options options;
  options.endpoint = arguments.endpoint;
  options.types = arguments.types;
  options.watches = arguments.watches;
  options.on_gap = print_gap;
  std::optional<Subscriber> subscriber;
  try {
    subscriber.emplace(std::move(options));
  } catch (const ConnectionError& error) {
    fmt::print(stderr, "inotifier: {}\n", error.what());
    return 1;
  }
  catch_signals();

  const auto patience =
      std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(output.timeout));
  auto last = Clock::now();
  std::int64_t printed = 0;
  while (stopped == 0) {
    auto wait = kLongestWait;
    if (output.timeout > 0) {
      const auto left = std::chrono::ceil<milliseconds>(last + patience - Clock::now());
      if (left <= milliseconds(0)) return 3;
      wait = std::min(wait, left);
    }
    const auto event = subscriber->next(wait);
    if (!event || !printer.shows(*event)) continue;
    if (!printer.print(*event)) return 0;
    last = Clock::now();
    if (++printed == output.count) return 0;
  }
  return 0;
}

}  // namespace inotifier
