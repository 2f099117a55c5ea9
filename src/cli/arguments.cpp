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
#include "inotifier/time.hpp"

namespace inotifier {
namespace {

void add_format(CLI::App& app, OutputOptions& output) {
  app.add_flag("--json", output.json, "one CloudEvent a line, as JSON (the default in a pipe)");
  app.add_flag("-0", output.nul, "only the paths, each ended by a NUL byte");
  app.add_option("--format", output.format, "such as '{path}\\t{size}'; ends each with a newline");
}

void add_output(CLI::App& app, OutputOptions& output, std::string& timeout) {
  add_format(app, output);
  app.add_option("-n", output.count, "stop after so many events")->check(CLI::PositiveNumber);
  app.add_option("--timeout", timeout, "stop with exit code 3 after so long without an event (5s)");
}

void add_connection(CLI::App& app, Connection& connection, const char* what) {
  app.add_option("--endpoint", connection.endpoint, what);
  app.add_option("--server-key", connection.server_key,
                 "file with the daemon's public key (INOTIFIER_SERVER_KEY)");
  app.add_option("--key", connection.key, "file with our own secret key (INOTIFIER_KEY)");
}

constexpr const char* kFetchEndpoint = "where the daemon answers requests (ipc://... tcp://...)";

std::int64_t duration_of(std::string_view option, const std::string& text) {
  const auto nanos = parse_duration(text);
  if (!nanos || *nanos <= 0) {
    throw UsageError(fmt::format(
        "{} {}: a duration is a number with a unit, such as 500ms, 5s or 1h30m", option, text));
  }
  return *nanos;
}

std::int64_t timeout_of(const std::string& text) {
  return text.empty() ? 0 : duration_of("--timeout", text);
}

/// Durations of `consume` as they were given.
struct ConsumeTexts {
  std::string timeout;
  std::string retry_delay;
  std::string job_timeout;
  std::string lease;
  std::string missing = "skip";

  void apply(ConsumeArguments& consume) const {
    consume.output.timeout = timeout_of(timeout);
    if (!retry_delay.empty()) consume.retry_delay = duration_of("--retry-delay", retry_delay);
    if (!job_timeout.empty()) consume.job_timeout = duration_of("--job-timeout", job_timeout);
    if (!lease.empty()) consume.lease = duration_of("--lease", lease);
    if (consume.lease < kSecond || consume.lease > 3600 * kSecond) {
      throw UsageError("--lease " + lease + ": from 1s to 1h");
    }
    consume.run_missing = missing == "run";
  }
};

CLI::App& add_consume(CLI::App& app, ConsumeArguments& consume, ConsumeTexts& texts) {
  auto& consume_app = *app.add_subcommand(
      "consume", "durable: print each event, or run a command for it, and miss none");
  consume_app.add_option("NAME", consume.name, "of the consumer: its place in the journal")
      ->required();
  consume_app.add_option("TYPE", consume.types, "event types, such as file.completed; none = all");
  consume_app
      .add_option("--watch", consume.watches, "only of this watch; may be given several times")
      ->allow_extra_args(false);
  consume_app
      .add_option("--start", consume.start,
                  "where a new consumer begins: oldest (default), now, or state: what is there")
      ->check(CLI::IsMember({"oldest", "now", "state"}));
  consume_app.add_flag("!--no-create", consume.create, "fail if there is no such consumer");
  consume_app.add_flag("--until-empty", consume.until_empty, "stop when there is nothing more");
  consume_app.add_option("-j,--parallel", consume.parallel, "so many commands at a time")
      ->check(CLI::Range(1, 1024));
  consume_app
      .add_option("--max-tries", consume.max_tries,
                  "after so many the event is kept as failed (10); see inotifier failed")
      ->check(CLI::Range(1, 1'000'000));
  consume_app.add_option("--retry-delay", texts.retry_delay,
                         "before the second try (1s); doubles up to 5m");
  consume_app.add_option("--job-timeout", texts.job_timeout,
                         "a command that runs longer is ended: TERM, KILL 5s later");
  consume_app
      .add_option("--missing", texts.missing,
                  "files that are gone or have a later version by now: skip (default) or run")
      ->check(CLI::IsMember({"skip", "run"}));
  consume_app.add_option("--lease", texts.lease,
                         "after so long without a sign of us another client may take over (60s)");
  add_output(consume_app, consume.output, texts.timeout);
  add_connection(consume_app, consume.connection, kFetchEndpoint);
  consume_app.footer(
      "After --, COMMAND is run without a shell for each event, as by watch. Exit code 0\n"
      "is done; any other is tried again, while the other events go on:\n"
      "  inotifier consume thumbnails file.completed -- make-thumbnail {path}");
  return consume_app;
}

/// A command that asks the daemon one thing, of consumer NAME if `named`.
CLI::App& add_asking(CLI::App& app, AskArguments& ask, const char* name, const char* what,
                     bool named) {
  auto& asking = *app.add_subcommand(name, what);
  if (named) asking.add_option("NAME", ask.name, "of the consumer")->required();
  add_connection(asking, ask.connection, kFetchEndpoint);
  return asking;
}

void add_json(CLI::App& app, OutputOptions& output) {
  app.add_flag("--json", output.json, "as JSON");
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
  watch_app.add_option("--journal", watch.journal,
                       "a file that remembers what was announced: what finished while no watch ran "
                       "is announced by the next one with the same file and directories");
  watch_app.add_option("-j,--parallel", watch.parallel, "so many commands at a time")
      ->check(CLI::Range(1, 1024));
  add_output(watch_app, watch.output, watch_timeout);
  watch_app.footer(
      "After --, COMMAND is run without a shell for each file; {path} is replaced,\n"
      "the event is on its standard input as JSON, and INOTIFIER_PATH, _TYPE, _ID\n"
      "and _WATCH are in its environment:\n"
      "  inotifier watch incoming -- sha256sum {path}\n"
      "What was announced is not announced again, whatever became of it. For commands that\n"
      "must be tried until they succeed there are inotifier run and inotifier consume.");

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
  sub_app.add_option("--since", sub.since,
                     "first read back from there: a duration (1h), a time, a position, start");
  add_connection(sub_app, sub.connection, "where the daemon publishes (ipc://... tcp://...)");
  sub_app.add_option("--fetch-endpoint", sub.fetch_endpoint, "where to read back from");
  add_output(sub_app, sub.output, sub_timeout);

  ConsumeArguments consume;
  ConsumeTexts consume_texts;
  auto& consume_app = add_consume(app, consume, consume_texts);

  AskArguments ask;
  auto& consumers_app =
      add_asking(app, ask, "consumers", "list the consumers and how far behind they are", false);
  add_json(consumers_app, ask.output);
  auto& forget_app = add_asking(app, ask, "forget", "delete a consumer", true);
  auto& seek_app = add_asking(app, ask, "seek", "move a consumer to another place", true);
  seek_app
      .add_option("TO", ask.to, "start, now, a time, a duration back such as 1h, or a position")
      ->required();
  auto& failed_app =
      add_asking(app, ask, "failed", "list the events that a consumer could not process", true);
  add_format(failed_app, ask.output);
  auto& retry_app =
      add_asking(app, ask, "retry", "deliver events that failed again, all or some", true);
  retry_app.add_option("POSITION", ask.positions, "as failed shows them; none = all");
  auto& status_app =
      add_asking(app, ask, "status", "the daemon, its watches and its consumers", false);
  add_json(status_app, ask.output);
  status_app.add_flag("--check", ask.check, "print nothing; exit code 0 if the daemon is ready");

  CheckArguments check;
  auto& check_app =
      *app.add_subcommand("check", "validate the configuration and say what to expect from it");
  check_app.add_option("-c,--config", check.config, "configuration file");
  check_app.add_option("DIR", check.directories, "directories to watch besides");
  check_app.add_flag("--json", check.json, "as JSON");

  KeygenArguments keygen;
  auto& keygen_app =
      *app.add_subcommand("keygen",
                          "make a pair of keys for tcp endpoints: NAME.key, to give away, "
                          "and NAME.key_secret, to keep");
  keygen_app.add_option("NAME", keygen.name, "of the client, or of the daemon")->required();
  keygen_app.add_option("--dir", keygen.directory, "where to put them (the current directory)");
  keygen_app
      .add_option("--access", keygen.access,
                  "what a client with this key may do: read, or all (also make, move and forget "
                  "consumers, and acknowledge)")
      ->check(CLI::IsMember({"read", "all"}));

  const std::vector<std::string> commands{"watch",     "run",    "sub",   "consume",
                                          "consumers", "forget", "seek",  "failed",
                                          "retry",     "status", "check", "keygen"};
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
    consume.command = watch.command;
    break;
  }
  try {
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (own != argc && ((!watch_app.parsed() && !consume_app.parsed()) || watch.command.empty())) {
      throw UsageError(
          "a command after -- goes with `watch DIR... -- COMMAND {path}` and `consume NAME -- "
          "COMMAND {path}`");
    }
    if (watch_app.parsed()) {
      watch.output.timeout = timeout_of(watch_timeout);
      return run_watch(watch);
    }
    if (sub_app.parsed()) {
      sub.output.timeout = timeout_of(sub_timeout);
      return run_sub(sub);
    }
    if (consume_app.parsed()) {
      consume_texts.apply(consume);
      return run_consume(consume);
    }
    if (consumers_app.parsed()) return run_consumers(ask);
    if (forget_app.parsed()) return run_forget(ask);
    if (seek_app.parsed()) return run_seek(ask);
    if (failed_app.parsed()) return run_failed(ask);
    if (retry_app.parsed()) return run_retry(ask);
    if (status_app.parsed()) return run_status(ask);
    if (run_app.parsed()) return run_daemon(run);
    if (keygen_app.parsed()) return run_keygen(keygen);
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
