// How a subcommand is described: its name, its options, what runs. The file that runs one describes
// it as well, with a function that arguments.cpp lists; that is the only file with CLI11.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "inotifier/client.hpp"
#include "inotifier/time.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): as CLI11 calls it
class App;
}

namespace inotifier {

struct OutputOptions {
  bool json = false;
  bool nul = false;        ///< -0: absolute path and a NUL byte
  std::string format;      ///< '{path}\t{size}'; "" = none
  std::int64_t count = 0;  ///< -n: stop after so many; 0 = never
  Nanos timeout = 0;       ///< --timeout: without an event; 0 = never; exit 3
};

/// What a subcommand takes, told to CLI11. Variables hold the defaults; they outlive it.
class Options {
 public:
  using Texts = std::vector<std::string>;

  /// `command`: what follows "--".
  Options(CLI::App& app, const Texts& command) : app_(app), command_(command) {}

  // `names` as CLI11 has them: "-c,--config", "!--no-create", "DIR" for what has no dash.
  void flag(const char* names, bool& out, const char* help);
  void text(const char* names, std::string& out, const char* help);
  void required(const char* names, std::string& out, const char* help);
  void one_of(const char* names, std::string& out, const char* help, const Texts& words);
  void number(const char* names, int& out, const char* help, int least, int most);
  void duration(const char* names, Nanos& out, const char* help, Nanos least = 1,
                Nanos most = std::numeric_limits<Nanos>::max());
  /// All words that are left.
  void words(const char* names, Texts& out, const char* help, bool required = false);
  /// One value each time it is given.
  void repeated(const char* names, Texts& out, const char* help);

  void format(OutputOptions& output);
  /// With format().
  void output(OutputOptions& output);
  void connection(Connection& connection, const char* endpoint);
  /// A command after "--" is taken.
  void command(Texts& out);
  bool takes_command() const { return takes_command_; }
  void footer(const std::string& text);

 private:
  CLI::App& app_;
  const Texts& command_;
  bool takes_command_ = false;
};

struct Subcommand {
  std::string name;
  std::string help;
  /// Names the options, and gives what runs once they are parsed. Its result is the exit code: 0
  /// done, 1 failed, 2 usage or configuration, 3 timeout.
  std::function<std::function<int()>(Options&)> describe;
};

template <typename Arguments>
Subcommand subcommand(const char* name, const char* help,
                      void (*describe)(Options& options, Arguments& arguments),
                      int (*run)(const Arguments& arguments)) {
  return {name, help, [describe, run](Options& options) {
            const auto arguments = std::make_shared<Arguments>();
            describe(options, *arguments);
            return [arguments, run] { return run(*arguments); };
          }};
}

/// Parses, runs a subcommand, and turns what it throws into a message and an exit code.
int run_command_line(int argc, char** argv);

}  // namespace inotifier
