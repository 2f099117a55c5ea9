// Defaults < file < environment < arguments -> Config. load.cpp is the only file with toml11.
//
// Environment. A key of a section is INOTIFIER_<SECTION>_<KEY> (INOTIFIER_LOG_LEVEL=debug).
// INOTIFIER_WATCH=/a:/b makes a watch of each directory, besides those of the file; the keys of a
// watch, INOTIFIER_WATCH_<KEY> (INOTIFIER_WATCH_SETTLE=5s), hold for these and for the directories
// of the command line, not for those of the file. Lists are separated by commas, or written as in
// the file: ["a", "b"]. A variable that is empty counts as not set; an empty list is [].
//
// A variable that looks like a mistyped key of ours is an error; others that merely begin with
// INOTIFIER_ are let be (a container platform makes such for a service of that name).
//
// One name has two meanings: a command that we start (`watch DIR -- COMMAND`) finds the name of the
// watch in INOTIFIER_WATCH. There INOTIFIER_ID and INOTIFIER_TYPE are set as well, and then
// INOTIFIER_WATCH is not read as directories.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

/// The variables of a process: a value, so that tests need not change their own.
using Environment = std::map<std::string, std::string, std::less<>>;
Environment process_environment();

struct LoadOptions {
  std::string file;  ///< -c; "" = INOTIFIER_CONFIG, else /etc/inotifier/inotifier.toml if it exists
  std::vector<std::string> directories;    ///< each makes a watch, named after its last component
  std::vector<std::string> watch_options;  ///< "key=value" (TOML value, or a bare word) for those
  /// No file, no INOTIFIER_WATCH: the watches are `directories` alone.
  bool only_directories = false;
};

/// Throws ConfigError. All errors of the file, the environment and the arguments are told at once.
Config load_config(const LoadOptions& options, const Environment& environment);

/// TOML text instead of a file; `name` is what errors call it. For tests and fuzzing.
Config parse_config(std::string_view text, const std::string& name, const Environment& environment);

/// The effective configuration as TOML that load_config reads back to the same Config. (Bytes that
/// are no UTF-8 cannot be written in TOML; a path with such becomes readable, not the same.)
std::string to_toml(const Config& config);
/// The same as a map of sections; "watch" is a list. For JSON.
Value to_value(const Config& config);

/// "250ms", "2s", "1.5h", "1h30m", "7d" -> nanoseconds; "0" needs no unit. Nothing if it is no
/// duration, is negative, or is longer than 100 years.
std::optional<std::int64_t> parse_duration(std::string_view text);
/// What parse_duration reads back to the same: "1h30m", "0s".
std::string duration_text(std::int64_t nanos);
/// "2GiB", "500 kB", "1.5MB", "0" -> bytes; k is 1000, Ki is 1024. Nothing if it is no size, is
/// negative, or is beyond 2^53 (what every language's numbers hold exactly).
std::optional<std::int64_t> parse_size(std::string_view text);
/// What parse_size reads back to the same: "2GiB", "1500".
std::string size_text(std::int64_t bytes);

}  // namespace inotifier
