// The effective configuration as plain structs, and a row for each key below them: a new key is a
// field, its row, and its words in conf/inotifier.toml (a test compares). Made by config/load, read
// by everybody, changed by nobody afterwards. Durations are nanoseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "config/key.hpp"

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
  std::vector<std::string> temporary_add;  ///< empty after loading
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
/// A processor as the configuration knows it. process/registry.cpp lists them.
struct ProcessorKind {
  /// What it publishes when a watch does not say: finished files, or inotify's records.
  enum class Publishes { kFiles, kRecords };
  std::string_view name;
  std::string_view help;  ///< what it announces, in a few words
  Publishes publishes = Publishes::kFiles;
};
const std::vector<ProcessorKind>& processor_kinds();
const std::vector<std::string>& known_processors();
bool publishes_records(const std::string& processor);
/// What a processor publishes when a watch does not say. The watch.* types are part of it, and of
/// every list a user writes as well: whoever chooses what to hear of files must still hear that
/// some were lost.
std::vector<std::string> default_events(const std::string& processor);

namespace config {

/// The length of one turn of the pipeline at most; nothing periodic makes sense below it.
inline constexpr std::int64_t kShortestPeriod = 10'000'000;
/// Events must outlive the consumers' requests.
inline constexpr std::int64_t kShortestRetention = 1'000'000'000;
inline constexpr std::int64_t kSmallestJournal = std::int64_t{1} << 20;

/// Every key; those of a section stand together. The words of an enumeration are in its order.
inline constexpr Key kKeys[] = {
    text("daemon.name", at<&Config::daemon_name>, "the host in the source of every event",
         check_daemon_name),
    list("publish.endpoint", at<&Config::publish, &Config::Publish::endpoints>,
         "where events are published", check_endpoint, Type::kEndpoints),
    // ZeroMQ takes 0 for "no limit": the memory of this process would be it.
    number("publish.high_water_mark", at<&Config::publish, &Config::Publish::high_water_mark>,
           "events kept for a slow subscriber", 1, std::numeric_limits<int>::max()),
    duration("publish.heartbeat", at<&Config::publish, &Config::Publish::heartbeat>,
             "how often the last positions are published", kShortestPeriod),
    list("fetch.endpoint", at<&Config::fetch, &Config::Fetch::endpoints>, "where consumers fetch",
         check_endpoint, Type::kEndpoints),
    text("journal.path", at<&Config::journal, &Config::Journal::path>, "the database",
         check_journal_path),
    duration("journal.retain", at<&Config::journal, &Config::Journal::retain>,
             "how long events are kept", kShortestRetention),
    size("journal.retain_size", at<&Config::journal, &Config::Journal::retain_size>,
         "how much is kept at most", kSmallestJournal),
    word("journal.durability", at<&Config::journal, &Config::Journal::durability>,
         "what a power cut may take back",
         [] {
           return Words{"process", "power"};
         }),
    duration("journal.consumer_expiry", at<&Config::journal, &Config::Journal::consumer_expiry>,
             "a consumer silent for so long holds nothing back", kShortestRetention),
    text("security.server_key", at<&Config::security, &Config::Security::server_key>,
         "file of the daemon's secret key", check_path_or_none),
    text("security.clients", at<&Config::security, &Config::Security::clients>,
         "directory of the clients' public keys", check_path_or_none),
    flag("security.insecure", at<&Config::security, &Config::Security::insecure>,
         "bind beyond loopback without keys"),
    text("security.group", at<&Config::security, &Config::Security::group>,
         "group of the ipc sockets", check_group),
    word("log.level", at<&Config::log, &Config::Log::level>, "what is logged",
         [] {
           return Words{"debug", "info", "warning", "error"};
         }),
    word("log.format", at<&Config::log, &Config::Log::format>, "text, or one JSON object a line",
         [] {
           return Words{"text", "json"};
         }),

    text("watch.name", at<&WatchConfig::name>, "the identity of the watch", check_watch_name),
    text("watch.path", at<&WatchConfig::path>, "the directory", check_path),
    word("watch.processor", at<&WatchConfig::processor>, "what makes a file finished",
         [] { return known_processors(); }),
    flag("watch.recursive", at<&WatchConfig::recursive>, "directories below as well"),
    list("watch.events", at<&WatchConfig::events>, "which types are published", check_event_type),
    list("watch.include", at<&WatchConfig::include>, "only what matches; empty: everything",
         check_pattern),
    list("watch.exclude", at<&WatchConfig::exclude>, "what is never announced", check_pattern),
    list("watch.temporary", at<&WatchConfig::temporary>, "names of unfinished files",
         check_pattern),
    list("watch.temporary_add", at<&WatchConfig::temporary_add>, "further ones besides the default",
         check_pattern),
    word("watch.existing", at<&WatchConfig::existing>, "files that are there at the first start",
         [] {
           return Words{"announce", "ignore"};
         }),
    word("watch.backend", at<&WatchConfig::backend>, "how changes are found",
         [] {
           return Words{"auto", "inotify", "poll"};
         }),
    duration("watch.poll_interval", at<&WatchConfig::poll_interval>, "how often to poll",
             kShortestPeriod),
    duration("watch.settle", at<&WatchConfig::settle>, "announce after so long without a change"),
    word("watch.writer_check", at<&WatchConfig::writer_check>, "how writers are recognised",
         [] {
           return Words{"lease", "off"};
         }),
    flag("watch.require_lease", at<&WatchConfig::require_lease>,
         "refuse to start where leases do not work"),
    duration("watch.stalled_after", at<&WatchConfig::stalled_after>,
             "a temporary file this old is stalled; 0s: never"),
    size("watch.min_size", at<&WatchConfig::min_size>, "smaller files are not announced", 0,
         Type::kBytes),
    word("watch.renamed", at<&WatchConfig::renamed>, "an announced file that gets another name",
         [] {
           return Words{"announce", "moved"};
         }),
    text("watch.previous_name", at<&WatchConfig::previous_name>, "the name this watch had before",
         check_previous_name),
};

}  // namespace config
}  // namespace inotifier
