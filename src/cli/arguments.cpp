#include "cli/arguments.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>

#include "base/error.hpp"
#include "base/messages.hpp"
#include "base/suggest.hpp"
#include "cli/output.hpp"
#include "cli/process.hpp"
#include "config/load.hpp"

namespace inotifier {

// Each is defined in the file that runs it.
Subcommand watch_command();
Subcommand run_command();
Subcommand sub_command();
Subcommand consume_command();
Subcommand consumers_command();
Subcommand forget_command();
Subcommand seek_command();
Subcommand update_command();
Subcommand failed_command();
Subcommand retry_command();
Subcommand status_command();
Subcommand explain_command();
Subcommand check_command();
Subcommand keygen_command();

namespace {

std::vector<Subcommand> all_subcommands() {
  return {watch_command(),     run_command(),    sub_command(),    consume_command(),
          consumers_command(), forget_command(), seek_command(),   update_command(),
          failed_command(),    retry_command(),  status_command(), explain_command(),
          check_command(),     keygen_command()};
}

/// Throws UsageError with what was probably meant, which CLI11 does not know.
void check_name(const std::string& name, const std::vector<Subcommand>& subcommands) {
  std::vector<std::string> names;
  for (const auto& each : subcommands) names.push_back(each.name);
  if (name.starts_with('-') || std::find(names.begin(), names.end(), name) != names.end()) return;
  throw UsageError(fmt::format("there is no command \"{}\" ({}); see inotifier --help", name,
                               suggest(name, names)));
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{"Tells programs in any language about files that are finished.", "inotifier"};
  app.set_version_flag("--version", "inotifier " INOTIFIER_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer("Each has its own help: inotifier watch --help");

  const auto subcommands = all_subcommands();
  if (argc > 1 && *argv[1] != '\0') check_name(argv[1], subcommands);
  // The command is cut off first: nothing of it is an option of inotifier.
  char** const end = argv + argc;
  char** const dashes = std::find(argv, end, std::string_view("--"));
  const std::vector<std::string> command(dashes == end ? end : dashes + 1, end);

  std::function<int()> run;
  for (const auto& each : subcommands) {
    auto& described = *app.add_subcommand(each.name, each.help);
    Options options(described, command);
    described.callback([&run, &command, action = each.describe(options), has_dashes = dashes != end,
                        takes_command = options.takes_command()] {
      if (has_dashes && (!takes_command || command.empty())) {
        throw UsageError(
            "a command after -- goes with `watch DIR... -- COMMAND {path}` and `consume NAME -- "
            "COMMAND {path}`");
      }
      run = action;
    });
  }
  try {
    app.parse(static_cast<int>(dashes - argv), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run();
}

}  // namespace

void Options::flag(const char* names, bool& out, const char* help) {
  app_.add_flag(names, out, help);
}

void Options::text(const char* names, std::string& out, const char* help) {
  app_.add_option(names, out, help);
}

void Options::required(const char* names, std::string& out, const char* help) {
  app_.add_option(names, out, help)->required();
}

void Options::one_of(const char* names, std::string& out, const char* help, const Texts& words) {
  app_.add_option(names, out, help)->check(CLI::IsMember(words));
}

void Options::number(const char* names, int& out, const char* help, int least, int most) {
  app_.add_option(names, out, help)->check(CLI::Range(least, most));
}

void Options::duration(const char* names, Nanos& out, const char* help, Nanos least, Nanos most) {
  const auto parse = [names, &out, least, most](const std::string& text) {
    const auto nanos = parse_duration(text);
    if (!nanos || *nanos <= 0) {
      throw UsageError(fmt::format(
          "{} {}: a duration is a number with a unit, such as 500ms, 5s or 1h30m", names, text));
    }
    if (*nanos < least || *nanos > most) {
      throw UsageError(fmt::format("{} {}: from {} to {}", names, text, duration_text(least),
                                   duration_text(most)));
    }
    out = *nanos;
  };
  app_.add_option_function<std::string>(names, parse, help);
}

void Options::words(const char* names, Texts& out, const char* help, bool required) {
  app_.add_option(names, out, help)->required(required);
}

void Options::repeated(const char* names, Texts& out, const char* help) {
  app_.add_option(names, out, help)->allow_extra_args(false);
}

void Options::format(OutputOptions& output) {
  flag("--json", output.json, "one CloudEvent a line, as JSON (the default in a pipe)");
  flag("-0", output.nul, "only the paths, each ended by a NUL byte");
  text("--format", output.format, "such as '{path}\\t{size}'; ends each with a newline");
}

void Options::output(OutputOptions& output) {
  format(output);
  app_.add_option("-n", output.count, "stop after so many events")->check(CLI::PositiveNumber);
  duration("--timeout", output.timeout,
           "stop with exit code 3 after so long without an event (5s)");
}

void Options::connection(Connection& connection, const char* endpoint) {
  text("--endpoint", connection.endpoint, endpoint);
  text("--server-key", connection.server_key,
       "file with the daemon's public key (INOTIFIER_SERVER_KEY)");
  text("--key", connection.key, "file with our own secret key (INOTIFIER_KEY)");
}

void Options::command(Texts& out) {
  out = command_;
  takes_command_ = true;
}

void Options::footer(const std::string& text) { app_.footer(text); }

int run_command_line(int argc, char** argv) {
  prepare_process();
  try {
    check_descriptors();
    const int code = parse_and_run(argc, argv);
    // A reader of the pipe that has gone wants no more.
    if ((std::fflush(stdout) == 0 && std::ferror(stdout) == 0) || errno == EPIPE) return code;
    throw SetupError(why_not_written(errno));
  } catch (const ConfigError& error) {
    print_message("{}\n", error.what());
    return 2;
  } catch (const UsageError& error) {
    print_message("inotifier: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    print_message("inotifier: {}\n", error.what());
    return 1;
  }
}

}  // namespace inotifier
