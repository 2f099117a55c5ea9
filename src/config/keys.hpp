// The steps of loading, in order: file, environment, command line, then what depends on all keys.
// During load_config() only, on its thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "config/setting.hpp"

namespace inotifier::config {

/// What was written, before the defaults that depend on other keys; all by the names of keys.
using Given = std::map<std::string_view, Origin>;

struct WatchDraft {
  WatchConfig config;
  Origin origin;
  Given given;
};

struct Draft {
  Config config;
  Given given;
  std::vector<WatchDraft> watches;
};

/// The key of that name ("watch.settle"); null if there is none.
const Key* find_key(std::string_view name);
/// In the order of the rows, with "watch".
std::vector<std::string> section_names();
/// Without the section.
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
/// Turns the drafts into watches: defaults, names, duplicates, contradictions.
void finish(Draft& draft, Problems& problems);

/// A value that is not of a file. Errors call it `name`; `line` is that of the source.
Origin read_text(const Key& key, std::string_view name, std::string_view text, const Source& source,
                 std::size_t line, Target target, Problems& problems);
/// A watch like `model` at `path`.
WatchDraft watch_at(const std::string& path, std::string_view name, const Source& source,
                    std::size_t line, const WatchDraft& model, Problems& problems);

/// "journal.retain" -> "INOTIFIER_JOURNAL_RETAIN"
std::string variable_name(std::string_view key);

/// The host name, without what a daemon's name cannot have.
std::string default_daemon_name();
/// Of "publish" or "fetch": the service's, or a person's. Where the clients look as well.
std::string default_endpoint(const Environment& environment, std::string_view what);
/// The journal that belongs to it.
std::string default_journal(const Environment& environment);
/// "inotifier" for a service that may give its sockets to that group; else "".
std::string default_group();

}  // namespace inotifier::config
