// inotifier consume NAME: durable. Prints events and acks what was written, or runs a command for
// each and acks what has exited with 0. One thread; signals come by a descriptor.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/path.hpp"
#include "cli/arguments.hpp"
#include "cli/consume_session.hpp"
#include "cli/consume_work.hpp"
#include "cli/consumers.hpp"
#include "cli/output.hpp"
#include "inotifier/client.hpp"

namespace inotifier {
namespace {

/// Printed, and not yet written out and acked, while more is in hand.
constexpr std::int64_t kUnwritten = 1000;

/// posix_spawnp(3) would say it for every event anew.
void check_command(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) == 0) return;
    throw UsageError(describe("exec", visible(name), errno) + ": the command cannot be started");
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;
  for (;;) {
    const std::size_t colon = rest.find(':');
    if (::access(join(rest.substr(0, colon), name).c_str(), X_OK) == 0) return;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  throw UsageError(fmt::format("{}: there is no such command in PATH", visible(name)));
}

/// Without a command.
class Printing {
 public:
  explicit Printing(const ConsumeArguments& arguments)
      : arguments_(arguments), printer_(arguments.output, stdout), session_(arguments) {}

  int run() {
    Consumer& consumer = *session_.consumer;
    const OutputOptions& output = arguments_.output;
    Nanos last = mono();
    while (session_.signals.stops() == 0) {
      const Nanos now = mono();
      if (output.timeout > 0 && now - last >= output.timeout) return 3;
      const auto wait = output.timeout > 0 ? until(last + output.timeout, now) : kLongestWait;
      const auto event = consumer.next(wait);
      if (!event) {
        if (arguments_.until_empty && consumer.caught_up()) return 0;
        if (session_.standby_ends()) return 0;
        continue;
      }
      if (!printer_.add(*event)) return 0;
      if (printer_.shows(*event)) {
        last = now;
        ++printed_;
      }
      const bool enough = output.count > 0 && printed_ == output.count;
      if (!enough && consumer.in_hand() > 0 && ++unwritten_ < kUnwritten) continue;
      unwritten_ = 0;
      if (!printer_.flush()) return 0;  // the reader has gone, and has not had these
      consumer.ack_all();
      if (enough) return 0;
    }
    return 0;
  }

 private:
  const ConsumeArguments& arguments_;
  Printer printer_;
  Session session_;
  std::int64_t printed_ = 0;
  std::int64_t unwritten_ = 0;
};

}  // namespace

int run_consume(const ConsumeArguments& arguments) {
  if (!arguments.command.empty()) check_command(arguments.command[0]);
  warn_of_unknown_types(arguments.types);
  try {
    if (arguments.command.empty()) return Printing(arguments).run();
    return Working(arguments).run();
  } catch (const ConnectionError& error) {
    fmt::print(stderr, "inotifier: {}\n", error.what());
  } catch (const RequestError& error) {
    if (error.code != "unknown_consumer") {
      fmt::print(stderr, "inotifier: {}\n", error.what());
      return 1;
    }
    try {
      Requester requester(arguments.connection);
      fmt::print(stderr, "inotifier: {}\n", refusal(requester, arguments.name, error));
    } catch (const std::exception&) {
      fmt::print(stderr, "inotifier: {}\n", error.what());
    }
  }
  return 1;
}

}  // namespace inotifier
