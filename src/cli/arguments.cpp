#include "cli/arguments.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "base/error.hpp"
#include "config/load.hpp"
#include "config/tree.hpp"
#include "inotifier/client.hpp"

namespace inotifier {
namespace {

void add_output(CLI::App& app, OutputOptions& output, std::string& timeout) {
  app.add_flag("--json", output.json, "one CloudEvent a line, as JSON (the default in a pipe)");
  app.add_flag("-0", output.nul, "only the paths, each ended by a NUL byte");
  app.add_option("--format", output.format, "such as '{path}\\t{size}'; ends each with a newline");
  app.add_option("-n", output.count, "stop after so many events")->check(CLI::PositiveNumber);
  app.add_option("--timeout", timeout, "stop with exit code 3 after so long without an event (5s)");
}

std::int64_t timeout_of(const std::string& text) {
  if (text.empty()) return 0;
  const auto nanos = parse_duration(text);
  if (!nanos || *nanos <= 0) {
    throw UsageError("--timeout " + text +
                     ": a duration is a number with a unit, such as 500ms, "
                     "5s or 1h30m");
  }
  return *nanos;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app{"Tells programs in any language about files that are finished.", "inotifier"};
  app.set_version_flag("--version", "inotifier " INOTIFIER_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer("Each has its own help: inotifier watch --help");

  WatchArguments watch;
  std::string watch_timeout;
  auto& watch_app = *app.add_subcommand(
      "watch", "print each finished file, or run a command for it; one process, no daemon");
  watch_app.add_option("DIR", watch.directories, "directories, watched with all below")->required();
  watch_app.add_flag("--existing", watch.existing, "announce what is there already as well");
  watch_app
      .add_option("-o,--option", watch.options,
                  "an option of a [[watch]], such as settle=5s or include='[\"*.dcm\"]'")
      ->allow_extra_args(false);
  watch_app.add_option("-j,--parallel", watch.parallel, "so many commands at a time")
      ->check(CLI::Range(1, 1024));
  add_output(watch_app, watch.output, watch_timeout);
  watch_app.footer(
      "After --, COMMAND is run without a shell for each file; {path} is replaced,\n"
      "the event is on its standard input as JSON, and INOTIFIER_PATH, _TYPE, _ID\n"
      "and _WATCH are in its environment:\n"
      "  inotifier watch incoming -- sha256sum {path}");

  RunArguments run;
  auto& run_app = *app.add_subcommand("run", "the daemon: watch and publish");
  run_app.add_option("-c,--config", run.config, "configuration file");
  run_app.add_option("DIR", run.directories, "directories to watch besides");

  SubArguments sub;
  std::string sub_timeout;
  auto& sub_app = *app.add_subcommand("sub", "listen to a running daemon and print");
  sub_app.add_option("TYPE", sub.types, "event types, such as file.completed; none = all");
  sub_app.add_option("--watch", sub.watches, "only of this watch; may be given several times")
      ->allow_extra_args(false);
  sub_app.add_option("--endpoint", sub.endpoint,
                     "where the daemon publishes (ipc://... tcp://...)");
  add_output(sub_app, sub.output, sub_timeout);

  CheckArguments check;
  auto& check_app =
      *app.add_subcommand("check", "validate the configuration and say what to expect from it");
  check_app.add_option("-c,--config", check.config, "configuration file");
  check_app.add_option("DIR", check.directories, "directories to watch besides");
  check_app.add_flag("--json", check.json, "as JSON");

  const std::vector<std::string> commands{"watch", "run", "sub", "check"};
  const std::string first = argc > 1 ? argv[1] : "";
  if (!first.empty() && first[0] != '-' &&
      std::find(commands.begin(), commands.end(), first) == commands.end()) {
    const std::string hint = config::suggest(first, commands);
    fmt::print(stderr, "inotifier: there is no command \"{}\"{}; see inotifier --help\n", first,
               hint.empty() ? "" : " (" + hint + ")");
    return 2;
  }

  // The command is cut off first: nothing of it is ours to understand.
  int own = argc;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--") continue;
    own = i;
    watch.command.assign(argv + i + 1, argv + argc);
    break;
  }
  try {
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (own != argc && (!watch_app.parsed() || watch.command.empty())) {
      throw UsageError("a command after -- goes with `watch DIR... -- COMMAND {path}`");
    }
    if (watch_app.parsed()) {
      watch.output.timeout = timeout_of(watch_timeout);
      return run_watch(watch);
    }
    if (sub_app.parsed()) {
      sub.output.timeout = timeout_of(sub_timeout);
      return run_sub(sub);
    }
    if (run_app.parsed()) return run_daemon(run);
    return run_check(check);
  } catch (const ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const UsageError& error) {
    fmt::print(stderr, "inotifier: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "inotifier: {}\n", error.what());
    return 1;
  }
}

}  // namespace inotifier
