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
  /// The name this watch had before, whose rows of the journal it takes over; "" = none. Never the
  /// present or previous name of another watch.
  std::string previous_name;

  bool operator==(const WatchConfig&) const = default;
};

struct Config {
  std::string daemon_name;         ///< default: the host name
  bool daemon_name_given = false;  ///< false: the host name; a journal keeps that of its creation
  struct Publish {
    std::vector<std::string> endpoints;
    int high_water_mark = 100'000;
    std::int64_t heartbeat = 10'000'000'000;
    bool operator==(const Publish&) const = default;
  } publish;
  struct Fetch {
    std::vector<std::string> endpoints;
    bool operator==(const Fetch&) const = default;
  } fetch;
  struct Journal {
    std::string path;                           ///< of the database; absolute
    std::int64_t retain = 604'800'000'000'000;  ///< 7 days
    std::int64_t retain_size = 2'147'483'648;   ///< bytes
    /// What a power cut may take back: the last moments (kProcess), or nothing (kPower).
    enum class Durability { kProcess, kPower } durability = Durability::kProcess;
    std::int64_t consumer_expiry = 2'592'000'000'000'000;  ///< 30 days
    bool operator==(const Journal&) const = default;
  } journal;
  /// For tcp endpoints; access to ipc is the socket's mode and group. Either both paths are set, or
  /// none; without them no endpoint is beyond loopback unless `insecure`.
  struct Security {
    std::string server_key;  ///< absolute path of the file with the secret key; "" = no keys
    std::string clients;     ///< absolute path of the directory with the clients' public keys
    bool insecure = false;
    std::string group;  ///< that ipc sockets get; "" = that of the daemon
    bool operator==(const Security&) const = default;
  } security;
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
