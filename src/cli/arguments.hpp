// The command line as plain structs. arguments.cpp is the only file with CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inotifier/client.hpp"

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
  std::string journal;               ///< what was announced is kept there; "" = nowhere
  OutputOptions output;
};

struct RunArguments {
  std::string config;  ///< -c; "" = look in the usual places
  std::vector<std::string> directories;
};

struct SubArguments {
  std::vector<std::string> types;
  std::vector<std::string> watches;
  Connection connection;       ///< to the publisher
  std::string fetch_endpoint;  ///< for `since`
  std::string since;           ///< a place in the journal to read from first; "" = none
  OutputOptions output;
};

struct ConsumeArguments {
  Connection connection;
  std::string name;
  std::vector<std::string> types;
  std::vector<std::string> watches;
  std::vector<std::string> command;  ///< after "--"; empty = print
  std::string start;                 ///< of a new consumer: oldest, now, state
  bool create = true;
  bool until_empty = false;  ///< stop when there is nothing more
  int parallel = 1;
  int max_tries = 10;
  std::int64_t retry_delay = 1'000'000'000;  ///< nanoseconds before the second try; doubles
  std::int64_t job_timeout = 0;              ///< nanoseconds; 0 = none
  std::int64_t lease = 60'000'000'000;       ///< nanoseconds
  bool run_missing = false;  ///< also for files that are gone or have a later version
  OutputOptions output;
};

/// Of the commands that ask the daemon one thing.
struct AskArguments {
  Connection connection;
  std::string name;                    ///< of a consumer
  std::string to;                      ///< seek: a place
  std::vector<std::string> positions;  ///< retry; empty = all
  bool check = false;                  ///< status: only the exit code
  OutputOptions output;
};

struct CheckArguments {
  std::string config;
  std::vector<std::string> directories;
  bool json = false;
};

struct KeygenArguments {
  std::string name;
  std::string directory = ".";
  std::string access = "read";  ///< or "all"
};

/// Each runs one subcommand and returns the exit code: 0 done, 1 failed, 2 usage or configuration,
/// 3 timeout.
int run_watch(const WatchArguments& arguments);
int run_daemon(const RunArguments& arguments);
int run_sub(const SubArguments& arguments);
int run_consume(const ConsumeArguments& arguments);
int run_consumers(const AskArguments& arguments);
int run_forget(const AskArguments& arguments);
int run_seek(const AskArguments& arguments);
int run_failed(const AskArguments& arguments);
int run_retry(const AskArguments& arguments);
int run_status(const AskArguments& arguments);
int run_check(const CheckArguments& arguments);
int run_keygen(const KeygenArguments& arguments);

/// Parses, calls one of the above, and turns what they throw into a message and an exit code.
int run_command_line(int argc, char** argv);

}  // namespace inotifier
