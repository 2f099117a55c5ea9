// inotifier watch DIR... [-- COMMAND {path}]: one process, no sockets, no state. Prints each
// finished file, or runs a command for it.
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/arguments.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "daemon/runner.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

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
    } else if (!printer_.print(event)) {
      runner->stop();  // the reader has gone
    }
  }

  std::optional<Nanos> after_turn(const Now& now) override {
    const bool enough = output_.count > 0 && taken_ >= output_.count;
    if (enough && (!commands_ || commands_->idle())) runner->stop();
    if (output_.timeout == 0 || enough) return std::nullopt;
    const bool busy = commands_ && !commands_->idle();
    if (heard_ || busy || silent_since_ == 0) silent_since_ = now.mono;
    heard_ = false;
    if (now.mono - silent_since_ >= output_.timeout) {
      timed_out_ = true;
      runner->stop();
    }
    return silent_since_ + output_.timeout;
  }

  void on_child() override {
    if (commands_) commands_->on_child();
  }

  int exit_code() const {
    if (timed_out_) return 3;
    return commands_ && commands_->failed() > 0 ? 1 : 0;
  }

  Runner* runner = nullptr;

 private:
  OutputOptions output_;
  Printer printer_;
  std::optional<CommandRunner> commands_;
  std::int64_t taken_ = 0;
  bool heard_ = false;
  bool timed_out_ = false;
  Nanos silent_since_ = 0;
};

}  // namespace

int run_watch(const WatchArguments& arguments) {
  LoadOptions options;
  options.only_directories = true;
  options.directories = arguments.directories;
  options.watch_options = arguments.options;
  if (!arguments.existing) {
    options.watch_options.insert(options.watch_options.begin(), "existing=ignore");
  }
  const bool has_events =
      std::any_of(arguments.options.begin(), arguments.options.end(),
                  [](const std::string& option) { return option.starts_with("events"); });
  const bool has_processor =
      std::any_of(arguments.options.begin(), arguments.options.end(),
                  [](const std::string& option) { return option.starts_with("processor"); });
  if (!has_events && !has_processor) {
    options.watch_options.insert(options.watch_options.begin(), "events=[\"file.completed\"]");
  }
  const Config config = load_config(options, process_environment());
  // The daemon waits for a directory to come; a person at a terminal has mistyped it.
  for (const WatchConfig& watch : config.watches) {
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
  Runner runner(config, owner);
  owner.runner = &runner;
  runner.run();
  return owner.exit_code();
}

}  // namespace inotifier
