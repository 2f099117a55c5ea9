// The effective configuration as plain structs. Made by config/load, read by everybody, changed by
// nobody afterwards. Durations are nanoseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace inotifier {

struct WatchConfig {
  std::string name;
  std::string path;  ///< absolute, no trailing slash (but for "/")
  std::string processor = "completed";
  bool recursive = true;
  /// What is published. Never empty after loading: what was asked for, or the processor's default,
  /// and always the watch.* types.
  std::vector<std::string> events;
  std::vector<std::string> include;
  std::vector<std::string> exclude;    ///< default depends on the processor: none for all-events
  std::vector<std::string> temporary;  ///< `temporary` or the default, and `temporary_add`
  enum class Existing { kAnnounce, kIgnore } existing = Existing::kAnnounce;
  enum class Backend { kAuto, kInotify, kPoll } backend = Backend::kAuto;
  std::int64_t poll_interval = 5'000'000'000;
  std::int64_t settle = 0;
  enum class WriterCheck { kLease, kOff } writer_check = WriterCheck::kLease;
  bool require_lease = false;
  std::int64_t stalled_after = 3'600'000'000'000;  ///< 0 = never
  std::int64_t min_size = 0;
  enum class Renamed { kAnnounce, kMoved } renamed = Renamed::kAnnounce;

  bool operator==(const WatchConfig&) const = default;
};

struct Config {
  std::string daemon_name;  ///< default: the host name
  struct Publish {
    std::vector<std::string> endpoints;
    int high_water_mark = 100'000;
    std::int64_t heartbeat = 10'000'000'000;
    bool operator==(const Publish&) const = default;
  } publish;
  struct Log {
    std::string level = "info";  ///< debug, info, warning, error
    enum class Format { kText, kJson } format = Format::kText;
    bool operator==(const Log&) const = default;
  } log;
  std::vector<WatchConfig> watches;
  std::string file;  ///< the file that was read; "" if none

  bool operator==(const Config&) const = default;
};

/// What is wrong, ready to be shown: "<file>:<line>: <key>: <reason>\n  <the line>\n <suggestion>".
/// Several errors of one file stand below each other.
struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

extern const std::vector<std::string> kDefaultTemporary;
extern const std::vector<std::string> kDefaultExclude;
/// Every type a watch can ask for: file.*, watch.*, and the fifteen in_*.
const std::vector<std::string>& known_event_types();
const std::vector<std::string>& known_processors();
/// What a processor publishes when a watch does not say. The watch.* types are part of it, and of
/// every list a user writes as well: whoever chooses what to hear of files must still hear that
/// some were lost.
std::vector<std::string> default_events(const std::string& processor);

}  // namespace inotifier
