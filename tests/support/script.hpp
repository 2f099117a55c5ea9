// The text files in tests/scripts as values. The language is described in tests/scripts/README.md.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "inotifier/processor.hpp"

namespace inotifier::testing {

/// A script that cannot be read, or a command in it that failed: "file:line: reason".
struct ScriptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using KeyValues = std::vector<std::pair<std::string, std::string>>;

struct Command {
  int line = 0;
  std::string text;  ///< as written
  std::string verb;
  std::vector<std::string> words;  ///< without the verb and the key=value pairs
  KeyValues values;
};

struct Script {
  std::string name;  ///< of the file, without ".script"
  std::string file;
  std::string text;
  std::string fake_only;  ///< why it makes no sense on the kernel; "" if it does
  std::map<std::string, std::string> fake;
  bool audit = false;  ///< no expectations: what must always hold is looked at
  bool progress = false;
  bool strict = false;  ///< of an audit: nothing excuses a second announcement
  std::vector<Command> watches;
  std::vector<Command> commands;
};

Script parse_script(const std::string& file, std::string_view text);
/// All of a directory, by name.
std::vector<Script> read_scripts(const std::string& directory);

/// `words` and `values` of one line; throws std::runtime_error.
Command parse_command(std::string_view line);
/// 250ms, 2s, 1m, 1h, 500us; throws std::runtime_error.
Nanos parse_duration(std::string_view text);
std::int64_t parse_number(std::string_view text);
/// The configuration of a `watch` line; `path` is left relative.
WatchConfig watch_config(const Command& watch);

[[noreturn]] void fail(const Script& script, const Command& command, const std::string& reason);

}  // namespace inotifier::testing
