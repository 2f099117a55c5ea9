// Defaults < file < environment < arguments -> Config. load.cpp is the only file with toml11.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace inotifier {

/// Reads an environment variable; a seam so that tests need not change their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

struct LoadOptions {
  std::string file;                      ///< -c; "" = INOTIFIER_CONFIG, else /etc/inotifier/inotifier.toml
                                         ///< if that exists
  std::vector<std::string> directories;  ///< each makes a watch, named after its last component
  std::vector<std::string> watch_options;  ///< "key=value" (TOML value, or a bare word) for those
};

/// Throws ConfigError. All errors of the file are told at once.
Config load_config(const LoadOptions& options, const Environment& environment);

/// TOML text instead of a file; `name` is what errors call it. For tests and fuzzing.
Config parse_config(std::string_view text, const std::string& name, const Environment& environment);

/// The effective configuration as TOML that load_config reads back to the same Config.
std::string to_toml(const Config& config);

/// "250ms", "2s", "1h30m", "7d" -> nanoseconds; nothing if it is no duration.
std::optional<std::int64_t> parse_duration(std::string_view text);
std::string duration_text(std::int64_t nanos);
/// "2GiB", "500 kB", "0" -> bytes.
std::optional<std::int64_t> parse_size(std::string_view text);

}  // namespace inotifier
