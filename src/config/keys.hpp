// The table of all keys: what file, environment, command line and printing go by. A new option is
// one line here, one in print.cpp, and one in conf/inotifier.toml (a test compares).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "config/setting.hpp"

namespace inotifier::config {

/// Where something of a watch was written; `source` outlives the draft.
struct Place {
  const Source* source = nullptr;
  std::size_t line = 0;
};

/// A watch before the defaults that depend on its other keys.
struct WatchDraft {
  WatchConfig config;
  Place place;
  std::optional<Place> name;  ///< set if the name was given; the value is in `config`
  std::optional<Place> path;
  std::optional<Place> events;
  std::optional<Place> previous_name;
  bool path_is_bad = false;
  bool exclude = false;  ///< set if it was given
  bool temporary = false;
  std::vector<std::string> temporary_add;
};

struct Draft {
  Config config;
  std::optional<Place> publish_endpoint;  ///< set if it was given
  std::optional<Place> fetch_endpoint;
  std::optional<Place> server_key;
  std::optional<Place> clients;
  std::optional<Place> insecure;
  bool group = false;
  std::vector<WatchDraft> watches;
};

template <typename Target>
struct Key {
  std::string_view name;
  void (*take)(const Setting& setting, Target& target);
};

struct Section {
  std::string_view name;
  std::span<const Key<Draft>> keys;
};

std::span<const Section> sections();
std::span<const Key<WatchDraft>> watch_keys();
std::vector<std::string> section_names();  ///< with "watch"
/// Of a section, or of "watch".
std::vector<std::string> key_names(std::string_view section);

/// The whole of a file.
void apply(const Node& root, const Source& source, Draft& draft, Problems& problems);
/// The variables of `environment`; those that are set become the lines of `source`. Keys of the
/// sections, the watches of INOTIFIER_WATCH (unless `options` want none), and in `watch_defaults`
/// what every watch begins with that is not of a file.
void apply(const Environment& environment, const LoadOptions& options, Source& source, Draft& draft,
           WatchDraft& watch_defaults, Problems& problems);
/// The directories of the command line, with their "key=value" options; both become the lines of
/// `source`.
void apply(const LoadOptions& options, const WatchDraft& defaults, Source& source, Draft& draft,
           Problems& problems);
/// Turns the drafts into watches: defaults, names, duplicates.
void finish(Draft& draft, Problems& problems);

/// The host name, without what a daemon's name cannot have.
std::string default_daemon_name();
/// Of "publish" or "fetch": the service's, or a person's. Where the clients look as well.
std::string default_endpoint(const Environment& environment, std::string_view what);
/// The journal that belongs to it.
std::string default_journal(const Environment& environment);
/// "inotifier" for a service that may give its sockets to that group; else "".
std::string default_group();

inline constexpr Choice<Config::Log::Format> kFormats[] = {{"text", Config::Log::Format::kText},
                                                           {"json", Config::Log::Format::kJson}};
inline constexpr Choice<Config::Journal::Durability> kDurabilities[] = {
    {"process", Config::Journal::Durability::kProcess},
    {"power", Config::Journal::Durability::kPower}};
inline constexpr Choice<WatchConfig::Existing> kExisting[] = {
    {"announce", WatchConfig::Existing::kAnnounce}, {"ignore", WatchConfig::Existing::kIgnore}};
inline constexpr Choice<WatchConfig::Backend> kBackends[] = {
    {"auto", WatchConfig::Backend::kAuto},
    {"inotify", WatchConfig::Backend::kInotify},
    {"poll", WatchConfig::Backend::kPoll}};
inline constexpr Choice<WatchConfig::WriterCheck> kWriterChecks[] = {
    {"lease", WatchConfig::WriterCheck::kLease}, {"off", WatchConfig::WriterCheck::kOff}};
inline constexpr Choice<WatchConfig::Renamed> kRenamed[] = {
    {"announce", WatchConfig::Renamed::kAnnounce}, {"moved", WatchConfig::Renamed::kMoved}};

}  // namespace inotifier::config
