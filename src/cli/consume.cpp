// inotifier consume NAME: durable. Prints events and acks what was written, or runs a command for
// each and acks what has exited with 0. One thread; signals come by a descriptor.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/messages.hpp"
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
      : arguments_(arguments), printer_(arguments.output, stdout), session_(arguments) {
    printer_.stop_by(session_.signals.fd());
  }

  int run() {
    Consumer& consumer = *session_.consumer;
    const OutputOptions& output = arguments_.output;
    Nanos last = mono();
    while (session_.signals.stops() == 0) {
      const Nanos now = mono();
      if (output.timeout > 0 && now - last >= output.timeout) return 3;
      if (printer_.reader_is_gone()) return 0;
      const auto wait = until(
          output.timeout > 0 ? std::min(last + output.timeout, now + kSecond) : now + kSecond, now);
      auto event = consumer.next(wait);
      if (!event) {
        if (arguments_.until_empty && consumer.caught_up()) return 0;
        if (session_.standby_ends()) return 0;
        continue;
      }
      session_.roots.apply(*event);
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

int run_consume(const ConsumeArguments& arguments) {
  if (!arguments.command.empty()) check_command(arguments.command[0]);
  check_types(arguments.types);
  try {
    if (arguments.command.empty()) return Printing(arguments).run();
    return Working(arguments).run();
  } catch (const ConnectionError& error) {
    print_message("inotifier: {}\n", error.what());
  } catch (const RequestError& error) {
    if (error.code != "unknown_consumer") {
      print_message("inotifier: {}\n", error.what());
      return 1;
    }
    try {
      Requester requester(arguments.connection);
      print_message("inotifier: {}\n", refusal(requester, arguments.name, error));
    } catch (const std::exception&) {
      print_message("inotifier: {}\n", error.what());
    }
  }
  return 1;
}

void describe_consume(Options& options, ConsumeArguments& consume) {
  options.required("NAME", consume.name, "of the consumer: its position in the journal");
  options.words("TYPE", consume.types, "event types, such as file.completed; none = all");
  options.repeated("--watch", consume.watches, "only of this watch; may be given several times");
  options.one_of("--start", consume.start,
                 "where a new consumer begins: oldest (default), now, or state: what is there",
                 {"oldest", "now", "state"});
  options.flag("!--no-create", consume.create, "fail if there is no such consumer");
  options.flag("--until-empty", consume.until_empty, "stop when there is nothing more");
  options.number("-j,--parallel", consume.parallel, "so many commands at a time", 1, 1024);
  options.number("--max-tries", consume.max_tries,
                 "after so many the event is kept as failed (10); see inotifier failed", 1,
                 1'000'000);
  options.duration("--retry-delay", consume.retry_delay,
                   "before the second try (1s); doubles up to 5m", kMillisecond);
  options.duration("--job-timeout", consume.job_timeout,
                   "a command that runs longer is ended: TERM, KILL 5s later");
  options.one_of("--missing", consume.missing,
                 "files that are gone or have a later version by now: skip (default) or run",
                 {"skip", "run"});
  options.duration("--lease", consume.lease,
                   "after so long without a request another client may take over (60s)", kSecond,
                   3600 * kSecond);
  options.output(consume.output);
  options.connection(consume.connection, kFetchEndpointHelp);
  options.command(consume.command);
  options.footer(
      "After --, COMMAND is run without a shell for each event, as by watch. Exit code 0\n"
      "is done; any other is tried again, while the other events go on:\n"
      "  inotifier consume thumbnails file.completed -- make-thumbnail {path}\n"
      "A file counts as gone only if its root is the directory that the daemon watches. Events\n"
      "below a root that is not mounted here are held until it is. INOTIFIER_ROOTS names roots\n"
      "that lie elsewhere than for the daemon: incoming=/mnt/dicom:other=/mnt/o");
}

}  // namespace

Subcommand consume_command() {
  return subcommand<ConsumeArguments>(
      "consume", "durable: print each event, or run a command for it, and miss none",
      describe_consume, run_consume);
}

}  // namespace inotifier
