// The command line as plain structs. arguments.cpp is the only file with CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace inotifier {

struct OutputOptions {
  bool json = false;
  bool nul = false;          ///< -0: absolute path and a NUL byte
  std::string format;        ///< '{path}\t{size}'; "" = none
  std::int64_t count = 0;    ///< -n: stop after so many; 0 = never
  std::int64_t timeout = 0;  ///< --timeout, nanoseconds without an event; 0 = never; exit 3
};

struct WatchArguments {
  std::vector<std::string> directories;
  std::vector<std::string> command;  ///< after "--"; empty = print
  int parallel = 1;                  ///< commands at a time
  bool existing = false;             ///< announce what is there already
  std::vector<std::string> options;  ///< -o key=value of a [[watch]], as in the file
  OutputOptions output;
};

struct RunArguments {
  std::string config;  ///< -c; "" = look in the usual places
  std::vector<std::string> directories;
};

struct SubArguments {
  std::vector<std::string> types;
  std::vector<std::string> watches;
  std::string endpoint;
  OutputOptions output;
};

struct CheckArguments {
  std::string config;
  std::vector<std::string> directories;
  bool json = false;
};

/// Each runs one subcommand and returns the exit code: 0 done, 1 failed, 2 usage or configuration,
/// 3 timeout.
int run_watch(const WatchArguments& arguments);
int run_daemon(const RunArguments& arguments);
int run_sub(const SubArguments& arguments);
int run_check(const CheckArguments& arguments);

/// Parses, calls one of the above, and turns what they throw into a message and an exit code.
int run_command_line(int argc, char** argv);

}  // namespace inotifier
