// inotifier watch DIR... [-- COMMAND {path}]: one process, no sockets, no state unless it is given
// a journal. Prints each finished file, or runs a command for it.
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/hex.hpp"
#include "base/log.hpp"
#include "base/messages.hpp"
#include "base/path.hpp"
#include "cli/arguments.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "config/rules.hpp"
#include "daemon/own_files.hpp"
#include "daemon/runner.hpp"
#include "fs/real_fs.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

struct WatchArguments {
  std::vector<std::string> directories;
  std::vector<std::string> command;  ///< after "--"; empty = print
  int parallel = 1;                  ///< commands at a time
  bool existing = false;             ///< announce what is there already
  std::vector<std::string> options;  ///< -o key=value of a [[watch]], as in the file
  std::string journal;               ///< what was announced is kept there; "" = nowhere
  OutputOptions output;
};

/// Between two looks whether anybody still reads.
constexpr Nanos kReaderCheck = kSecond;

class PrintingOwner final : public Runner::Owner {
 public:
  explicit PrintingOwner(const WatchArguments& arguments)
      : output_(arguments.output), printer_(arguments.output, stdout) {
    if (!arguments.command.empty()) commands_.emplace(arguments.command, arguments.parallel);
  }

  void publish(std::string_view topic, std::string_view body) override {
    // Losses and limits were logged to standard error; a pipe wants files.
    if (topic.starts_with("watch.") || (output_.count > 0 && taken_ >= output_.count)) return;
    const Event event = decode(body);
    if (!printer_.shows(event)) return;
    ++taken_;
    heard_ = true;
    if (commands_) {
      commands_->add(event);
    } else if (!is_printed(event)) {
      ++unprinted_;
      runner->stop();
    }
  }

  std::optional<Nanos> after_turn(const Now& now) override {
    const bool enough = output_.count > 0 && taken_ >= output_.count;
    if (enough && (!commands_ || commands_->idle())) runner->stop();
    if (!commands_ && printer_.reader_is_gone()) runner->stop();
    if (output_.timeout == 0 || enough) return now.mono + kReaderCheck;
    const bool busy = commands_ && !commands_->idle();
    if (heard_ || busy || silent_since_ == 0) silent_since_ = now.mono;
    heard_ = false;
    if (now.mono - silent_since_ >= output_.timeout) {
      timed_out_ = true;
      runner->stop();
    }
    return std::min(silent_since_ + output_.timeout, now.mono + kReaderCheck);
  }

  /// The terminal is gone. Under nohup(1) the signal is ignored, and does not come.
  std::optional<std::vector<WatchConfig>> on_hangup() override {
    runner->stop();
    return std::nullopt;
  }

  void on_child() override {
    if (commands_) commands_->on_child();
  }

  int exit_code() const {
    if (!failure_.empty()) return 1;
    if (timed_out_) return 3;
    return commands_ && commands_->failed() > 0 ? 1 : 0;
  }

  /// Files that the end has left without a command, or unprinted.
  std::size_t left() const { return commands_ ? commands_->waiting() : unprinted_; }

  /// Why printing has failed; empty if it has not, or the reader has gone.
  const std::string& failure() const { return failure_; }

  Runner* runner = nullptr;

 private:
  /// The events of a turn are all published, also after one that could not be printed.
  bool is_printed(const Event& event) {
    try {
      return unprinted_ == 0 && printer_.print(event);
    } catch (const SetupError& error) {
      failure_ = error.what();
      return false;
    }
  }

  OutputOptions output_;
  Printer printer_;
  std::optional<CommandRunner> commands_;
  std::size_t unprinted_ = 0;
  std::string failure_;
  std::int64_t taken_ = 0;
  bool heard_ = false;
  bool timed_out_ = false;
  Nanos silent_since_ = 0;
};

/// Names that depend on nothing but the directory, so that the journal knows each watch again
/// whatever others there are, and in whatever order.
void name_after_paths(std::vector<WatchConfig>& watches) {
  constexpr std::size_t kHash = 12;
  constexpr std::size_t kLongest = 64;
  std::vector<WatchConfig> named;
  for (WatchConfig& watch : watches) {
    watch.name = config::name_from_path(watch.path).substr(0, kLongest - kHash - 1) + "-" +
                 hex(hash128(watch.path)).substr(0, kHash);
    const bool is_twice = std::any_of(named.begin(), named.end(), [&](const WatchConfig& other) {
      return other.name == watch.name;
    });
    if (!is_twice) named.push_back(std::move(watch));
  }
  watches = std::move(named);
}

bool is_given(const std::vector<std::string>& options, std::string_view key) {
  return std::any_of(options.begin(), options.end(), [&](std::string_view option) {
    return option.substr(0, option.find('=')) == key;
  });
}

std::string named(const std::vector<WatchConfig>& watches) {
  std::string out;
  for (const WatchConfig& watch : watches) {
    out += (out.empty() ? "" : ", ") + visible(watch.path);
  }
  return out;
}

int run_watch(const WatchArguments& arguments) {
  DaemonSignals signals(false);
  if (!arguments.journal.empty() && arguments.output.count > 0) {
    throw UsageError(
        "-n and --journal do not go together: the rest of what was announced would be told by "
        "nobody; see inotifier consume, which takes -n");
  }
  LoadOptions options;
  options.only_directories = true;
  options.directories = arguments.directories;
  options.watch_options = arguments.options;
  if (!arguments.existing) {
    options.watch_options.insert(options.watch_options.begin(), "existing=ignore");
  }
  if (!is_given(arguments.options, "events") && !is_given(arguments.options, "processor")) {
    options.watch_options.insert(options.watch_options.begin(), "events=[\"file.completed\"]");
  }
  Config config = load_config(options, process_environment());
  // The daemon waits for a directory to come; a person at a terminal has mistyped it.
  for (const WatchConfig& watch : config.watches) {
    if (is_remote(watch.path)) continue;  // its server may not answer
    struct stat found;
    if (stat(watch.path.c_str(), &found) != 0) {
      throw SetupError(describe("watch", watch.path, errno) + ": name a directory that exists");
    }
    if (!S_ISDIR(found.st_mode)) {
      throw SetupError(describe("watch", watch.path, ENOTDIR) +
                       ": a directory is watched, with all its files");
    }
  }
  log::set_up("warning", false);
  PrintingOwner owner(arguments);
  JournalOptions journal;
  journal.daemon_name = config.daemon_name;
  journal.daemon_name_given = config.daemon_name_given;
  if (!arguments.journal.empty()) {
    journal.path = absolute(arguments.journal);
    exclude_files(config.watches, files_of_journal(journal.path));
    if (!is_given(arguments.options, "name")) name_after_paths(config.watches);
  }
  Runner runner(signals, config, std::move(journal), owner);
  owner.runner = &runner;
  if (::isatty(STDOUT_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0) {
    print_message("inotifier: watching {}; Ctrl-C ends it\n", named(config.watches));
  }
  runner.run();
  if (!owner.failure().empty()) print_message("inotifier: {}\n", owner.failure());
  if (const std::size_t left = owner.left(); left > 0 && !arguments.journal.empty()) {
    const std::string what =
        arguments.command.empty()
            ? fmt::format("{} files that were announced were not printed", left)
            : fmt::format("no command was run for {} files that were announced", left);
    print_message("inotifier: {}; they are not announced again\n", what);
  }
  return owner.exit_code();
}

void describe_watch(Options& options, WatchArguments& watch) {
  options.words("DIR", watch.directories, "directories, watched with all below", true);
  options.flag("--existing", watch.existing, "announce what is there already as well");
  options.repeated("-o,--option", watch.options,
                   "an option of a [[watch]], such as settle=5s or include='[\"*.dcm\"]'");
  options.text("--journal", watch.journal,
               "a file that remembers what was announced: what finished while no watch ran is "
               "announced by the next one with the same file and directories");
  options.number("-j,--parallel", watch.parallel, "so many commands at a time", 1, 1024);
  options.output(watch.output);
  options.command(watch.command);
  std::string footer =
      "After --, COMMAND is run without a shell for each file; {path} is replaced,\n"
      "the event is on its standard input as JSON, and INOTIFIER_PATH, _TYPE, _ID\n"
      "and _WATCH are in its environment:\n"
      "  inotifier watch incoming -- sha256sum {path}\n"
      "What was announced is not announced again, whatever became of it. For commands that\n"
      "must be tried until they succeed there are inotifier run and inotifier consume.\n"
      "\n"
      "Options of a [[watch]], for -o:\n";
  for (const config::Key& key : config::kKeys) {
    if (key.section() != "watch" || key.name == "watch.path") continue;
    footer += fmt::format("  {:<14} {}\n", key.key(), key.help);
  }
  options.footer(footer);
}

}  // namespace

Subcommand watch_command() {
  return subcommand<WatchArguments>(
      "watch", "print each finished file, or run a command for it; one process, no daemon",
      describe_watch, run_watch);
}

}  // namespace inotifier
