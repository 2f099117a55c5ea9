#include "config/keys.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "base/path.hpp"

namespace inotifier::config {
namespace {

// The length of one turn of the pipeline at most; nothing periodic makes sense below it.
constexpr std::int64_t kShortestPeriod = 10'000'000;

// What is kept for less is no journal; events must outlive the consumers' requests.
constexpr std::int64_t kShortestRetention = 1'000'000'000;
constexpr std::int64_t kLeastJournal = std::int64_t{1} << 20;

const std::vector<std::string> kLevels{"debug", "info", "warning", "error"};

template <typename T, typename Out>
void put(std::optional<T> value, Out& out) {
  if (value) out = static_cast<Out>(std::move(*value));
}

Place place_of(const Setting& setting) { return {&setting.source(), setting.line()}; }

void take_endpoints(const Setting& setting, std::vector<std::string>& out,
                    std::optional<Place>& place) {
  auto list = setting.texts(check_endpoint, true);
  if (!list) return;
  if (list->empty()) {
    setting.wrong("an empty list: there would be nothing to connect to",
                  "leave it out for the default");
    return;
  }
  std::vector<std::string> seen;
  for (const auto& endpoint : *list) {
    const auto key = endpoint_key(endpoint);
    if (!key.empty() && std::find(seen.begin(), seen.end(), key) != seen.end()) {
      setting.wrong(fmt::format("\"{}\" is there twice", endpoint));
      return;
    }
    seen.push_back(key);
  }
  out = std::move(*list);
  place = place_of(setting);
}

/// Made absolute; an empty one means none.
void take_path(const Setting& setting, std::string& out) {
  auto path = setting.text();
  if (!path) return;
  if (path->empty()) {
    out.clear();
  } else if (setting.good(check_path(*path))) {
    out = absolute(*path);
  }
}

void take_journal_path(const Setting& setting, Draft& draft) {
  auto path = setting.text();
  if (!path) return;
  if (path->empty()) {
    setting.wrong("is empty", "write the path of the database, or leave it out for the default");
  } else if (path->ends_with('/')) {
    setting.wrong("the path is that of a directory",
                  fmt::format("did you mean \"{}journal.db\"?", printable(*path)));
  } else if (setting.good(check_path(*path))) {
    draft.config.journal.path = absolute(*path);
  }
}

constexpr Key<Draft> kDaemonKeys[] = {
    {"name",
     [](const Setting& setting, Draft& draft) {
       auto name = setting.text();
       if (!name || !setting.good(check_daemon_name(*name))) return;
       draft.config.daemon_name = std::move(*name);
       draft.config.daemon_name_given = true;
     }},
};

constexpr Key<Draft> kPublishKeys[] = {
    {"endpoint",
     [](const Setting& setting, Draft& draft) {
       take_endpoints(setting, draft.config.publish.endpoints, draft.publish_endpoint);
     }},
    {"high_water_mark",
     [](const Setting& setting, Draft& draft) {
       // ZeroMQ takes 0 for "no limit": the memory of this process would be it.
       put(setting.integer(1, std::numeric_limits<int>::max()),
           draft.config.publish.high_water_mark);
     }},
    {"heartbeat",
     [](const Setting& setting, Draft& draft) {
       put(setting.duration(kShortestPeriod), draft.config.publish.heartbeat);
     }},
};

constexpr Key<Draft> kFetchKeys[] = {
    {"endpoint",
     [](const Setting& setting, Draft& draft) {
       take_endpoints(setting, draft.config.fetch.endpoints, draft.fetch_endpoint);
     }},
};

constexpr Key<Draft> kJournalKeys[] = {
    {"path", take_journal_path},
    {"retain",
     [](const Setting& setting, Draft& draft) {
       put(setting.duration(kShortestRetention), draft.config.journal.retain);
     }},
    {"retain_size",
     [](const Setting& setting, Draft& draft) {
       const auto size = setting.size();
       if (size && *size < kLeastJournal) {
         setting.wrong("must be at least 1MiB", "the default is \"2GiB\"");
         return;
       }
       put(size, draft.config.journal.retain_size);
     }},
    {"durability",
     [](const Setting& setting, Draft& draft) {
       setting.choose<Config::Journal::Durability>(kDurabilities, draft.config.journal.durability);
     }},
    {"consumer_expiry",
     [](const Setting& setting, Draft& draft) {
       put(setting.duration(kShortestRetention), draft.config.journal.consumer_expiry);
     }},
};

constexpr Key<Draft> kSecurityKeys[] = {
    {"server_key",
     [](const Setting& setting, Draft& draft) {
       take_path(setting, draft.config.security.server_key);
       draft.server_key = place_of(setting);
     }},
    {"clients",
     [](const Setting& setting, Draft& draft) {
       take_path(setting, draft.config.security.clients);
       draft.clients = place_of(setting);
     }},
    {"insecure",
     [](const Setting& setting, Draft& draft) {
       put(setting.boolean(), draft.config.security.insecure);
       draft.insecure = place_of(setting);
     }},
    {"group",
     [](const Setting& setting, Draft& draft) {
       auto group = setting.text();
       if (!group || !setting.good(check_group(*group))) return;
       draft.config.security.group = std::move(*group);
       draft.group = true;
     }},
};

constexpr Key<Draft> kLogKeys[] = {
    {"level", [](const Setting& setting,
                 Draft& draft) { put(setting.one_of(kLevels), draft.config.log.level); }},
    {"format",
     [](const Setting& setting, Draft& draft) {
       setting.choose<Config::Log::Format>(kFormats, draft.config.log.format);
     }},
};

constexpr Section kSections[] = {{"daemon", kDaemonKeys},     {"publish", kPublishKeys},
                                 {"fetch", kFetchKeys},       {"journal", kJournalKeys},
                                 {"security", kSecurityKeys}, {"log", kLogKeys}};

void take_events(const Setting& setting, WatchDraft& watch) {
  auto list = setting.texts();
  if (!list) return;
  if (list->empty()) {
    setting.wrong("an empty list: nothing would be published",
                  "leave it out for the processor's default");
    return;
  }
  const auto& known = known_event_types();
  std::vector<std::string> events;
  bool all_known = true;
  for (auto& type : *list) {
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      setting.wrong(fmt::format("\"{}\" is no type of event", printable(type)),
                    suggest(type, known));
      all_known = false;
    } else if (std::find(events.begin(), events.end(), type) == events.end()) {
      events.push_back(std::move(type));
    }
  }
  if (!all_known) return;
  watch.config.events = std::move(events);
  watch.events = place_of(setting);
}

constexpr Key<WatchDraft> kWatchKeys[] = {
    {"name",
     [](const Setting& setting, WatchDraft& watch) {
       auto name = setting.text();
       if (!name || !setting.good(check_watch_name(*name))) return;
       watch.config.name = std::move(*name);
       watch.name = place_of(setting);
     }},
    {"path",
     [](const Setting& setting, WatchDraft& watch) {
       watch.path = place_of(setting);
       auto path = setting.text();
       watch.path_is_bad = !path || !setting.good(check_path(*path));
       if (!watch.path_is_bad) watch.config.path = std::move(*path);
     }},
    {"processor",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.one_of(known_processors()), watch.config.processor);
     }},
    {"recursive", [](const Setting& setting,
                     WatchDraft& watch) { put(setting.boolean(), watch.config.recursive); }},
    {"events", take_events},
    {"include", [](const Setting& setting,
                   WatchDraft& watch) { put(setting.texts(check_pattern), watch.config.include); }},
    {"exclude",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.texts(check_pattern), watch.config.exclude);
       watch.exclude = true;
     }},
    {"temporary",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.texts(check_pattern), watch.config.temporary);
       watch.temporary = true;
     }},
    {"temporary_add",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.texts(check_pattern), watch.temporary_add);
     }},
    {"existing",
     [](const Setting& setting, WatchDraft& watch) {
       setting.choose<WatchConfig::Existing>(kExisting, watch.config.existing);
     }},
    {"backend",
     [](const Setting& setting, WatchDraft& watch) {
       setting.choose<WatchConfig::Backend>(kBackends, watch.config.backend);
     }},
    {"poll_interval",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.duration(kShortestPeriod), watch.config.poll_interval);
     }},
    {"settle", [](const Setting& setting,
                  WatchDraft& watch) { put(setting.duration(0), watch.config.settle); }},
    {"writer_check",
     [](const Setting& setting, WatchDraft& watch) {
       setting.choose<WatchConfig::WriterCheck>(kWriterChecks, watch.config.writer_check);
     }},
    {"require_lease",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.boolean(), watch.config.require_lease);
     }},
    {"stalled_after",
     [](const Setting& setting, WatchDraft& watch) {
       put(setting.duration(0), watch.config.stalled_after);
     }},
    {"min_size",
     [](const Setting& setting, WatchDraft& watch) { put(setting.size(), watch.config.min_size); }},
    {"renamed",
     [](const Setting& setting, WatchDraft& watch) {
       setting.choose<WatchConfig::Renamed>(kRenamed, watch.config.renamed);
     }},
    {"previous_name",
     [](const Setting& setting, WatchDraft& watch) {
       auto name = setting.text();
       if (!name || (!name->empty() && !setting.good(check_watch_name(*name)))) return;
       watch.config.previous_name = std::move(*name);
       watch.previous_name = place_of(setting);
     }},
};

std::string heading(std::string_view section) {
  return section == "watch" ? "[[watch]]" : fmt::format("[{}]", section);
}

/// What to say of a key that `section` does not have. "" is the top of the file.
std::string suggest_key(std::string_view key, std::string_view section) {
  if (section.empty()) {
    const auto near = nearest(key, section_names());
    if (!near.empty()) return fmt::format("did you mean {}?", heading(near));
  } else {
    const auto near = nearest(key, key_names(section));
    if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
  }
  for (const auto& other : section_names()) {
    const auto names = key_names(other);
    if (std::find(names.begin(), names.end(), key) != names.end()) {
      return fmt::format("\"{}\" belongs below {}", printable(key), heading(other));
    }
  }
  if (section.empty()) {
    std::vector<std::string> headings;
    for (const auto& name : section_names()) headings.push_back(heading(name));
    return fmt::format("known are: {}", fmt::join(headings, ", "));
  }
  return fmt::format("{} knows: {}", heading(section), fmt::join(key_names(section), ", "));
}

template <typename Target>
void apply_table(const Node::Table& table, std::string_view section,
                 std::span<const Key<Target>> keys, const Source& source, Target& target,
                 Problems& problems) {
  for (const auto& entry : table) {
    const std::string& name = entry.key;
    const Node& node = entry.node;
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const Key<Target>& known) { return known.name == name; });
    const Setting setting(source, node, fmt::format("{}.{}", section, name), problems);
    if (key == keys.end()) {
      setting.wrong("unknown key", suggest_key(name, section));
    } else {
      key->take(setting, target);
    }
  }
}

void apply_watches(const Node& node, const Source& source, Draft& draft, Problems& problems) {
  const Setting setting(source, node, "watch", problems);
  const auto* list = std::get_if<Node::List>(&node.value);
  if (list == nullptr) {
    setting.wrong("there can be several watches, so each is an element of a list",
                  "write [[watch]] with two brackets");
    return;
  }
  for (const auto& element : *list) {
    const auto* table = std::get_if<Node::Table>(&element.value);
    if (table == nullptr) {
      Setting(source, element, "watch", problems)
          .wrong("must be a table", "write [[watch]] and its keys below");
      continue;
    }
    WatchDraft watch;
    watch.place = {&source, element.line};
    apply_table<WatchDraft>(*table, "watch", kWatchKeys, source, watch, problems);
    draft.watches.push_back(std::move(watch));
  }
}

}  // namespace

std::span<const Section> sections() { return kSections; }
std::span<const Key<WatchDraft>> watch_keys() { return kWatchKeys; }

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const auto& section : kSections) names.emplace_back(section.name);
  names.emplace_back("watch");
  return names;
}

std::vector<std::string> key_names(std::string_view section) {
  std::vector<std::string> names;
  for (const auto& known : kSections) {
    if (known.name != section) continue;
    for (const auto& key : known.keys) names.emplace_back(key.name);
  }
  if (section == "watch") {
    for (const auto& key : kWatchKeys) names.emplace_back(key.name);
  }
  return names;
}

void apply(const Node& root, const Source& source, Draft& draft, Problems& problems) {
  const auto* table = std::get_if<Node::Table>(&root.value);
  if (table == nullptr) return;
  for (const auto& entry : *table) {
    const std::string& name = entry.key;
    const Node& node = entry.node;
    if (name == "watch") {
      apply_watches(node, source, draft, problems);
      continue;
    }
    const auto section = std::find_if(std::begin(kSections), std::end(kSections),
                                      [&](const Section& known) { return known.name == name; });
    const auto* keys = std::get_if<Node::Table>(&node.value);
    const Setting setting(source, node, name, problems);
    if (section != std::end(kSections) && keys != nullptr) {
      apply_table<Draft>(*keys, name, section->keys, source, draft, problems);
    } else if (section != std::end(kSections)) {
      setting.wrong("is a section, not a value",
                    fmt::format("write [{}] and its keys below", name));
    } else {
      const bool is_section = keys != nullptr || std::holds_alternative<Node::List>(node.value);
      setting.wrong(is_section ? "unknown section" : "unknown key", suggest_key(name, ""));
    }
  }
}

}  // namespace inotifier::config
