// From what was written to what holds: the defaults that depend on other keys, and names.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/path.hpp"
#include "config/keys.hpp"

namespace inotifier::config {
namespace {

std::string shown(const Place& place) {
  return place.source->numbered ? fmt::format("line {}", place.line + 1) : place.source->name;
}

void check_names(const std::vector<WatchDraft>& watches, Problems& problems) {
  std::map<std::string, Place> seen;
  for (const auto& watch : watches) {
    if (!watch.name) continue;
    const auto [first, is_new] = seen.emplace(watch.config.name, *watch.name);
    if (is_new) continue;
    problems.add(*watch.name->source, watch.name->line, "watch.name",
                 fmt::format("two watches are called \"{}\", the first in {}", watch.config.name,
                             shown(first->second)),
                 "the name is the watch's identity: every watch needs its own");
  }
}

/// A watch without a name is called after its directory, with -2, -3 ... if that is taken.
void give_names(std::vector<WatchDraft>& watches) {
  std::set<std::string> taken;
  for (const auto& watch : watches) {
    if (watch.name) taken.insert(watch.config.name);
  }
  std::map<std::string, int> last_number;
  for (auto& watch : watches) {
    if (watch.name) continue;
    const auto base = name_from_path(watch.config.path);
    auto name = base;
    for (int& number = last_number.try_emplace(base, 1).first->second; taken.contains(name);) {
      const auto suffix = fmt::format("-{}", ++number);
      name = base.substr(0, 64 - suffix.size()) + suffix;
    }
    taken.insert(name);
    watch.config.name = name;
  }
}

void add_missing(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const auto& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }
}

void choose_events(WatchDraft& watch, Problems& problems) {
  auto& config = watch.config;
  const auto defaults = default_events(config.processor);
  if (!watch.events) {
    config.events = defaults;
    // Whoever wants renames told as file.moved wants to hear of them.
    if (config.renamed == WatchConfig::Renamed::kMoved && config.processor != "all-events") {
      add_missing(config.events, {"file.moved"});
    }
    return;
  }
  for (const auto& type : config.events) {
    if (config.processor != "all-events" || !type.starts_with("file.")) continue;
    problems.add(*watch.events->source, watch.events->line, "watch.events",
                 fmt::format("the processor \"all-events\" never says {}", type),
                 "it says what inotify says; for finished files write processor = \"completed\"");
  }
  for (const auto& type : defaults) {
    if (type.starts_with("watch.")) add_missing(config.events, {type});
  }
}

}  // namespace

void finish(Draft& draft, Problems& problems) {
  check_names(draft.watches, problems);
  for (auto& watch : draft.watches) {
    auto& config = watch.config;
    if (!watch.path) {
      problems.add(*watch.place.source, watch.place.line, "watch.path", "is missing",
                   "write the directory to watch: path = \"/srv/incoming\"");
    } else if (!watch.path_is_bad) {
      config.path = absolute(config.path);
    }
    const bool is_raw = config.processor == "all-events";
    if (!watch.exclude && !is_raw) config.exclude = kDefaultExclude;
    if (!watch.temporary && !is_raw) config.temporary = kDefaultTemporary;
    add_missing(config.temporary, watch.temporary_add);
    choose_events(watch, problems);
    if (config.require_lease && config.writer_check == WatchConfig::WriterCheck::kOff) {
      problems.add(*watch.place.source, watch.place.line, "watch.require_lease",
                   "contradicts writer_check = \"off\", which takes no lease");
    }
  }
  give_names(draft.watches);
  for (auto& watch : draft.watches) draft.config.watches.push_back(std::move(watch.config));
  draft.watches.clear();
}

}  // namespace inotifier::config
