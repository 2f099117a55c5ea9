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

Place place_of(const Given& given) { return {&given.source(), given.line()}; }

void take_endpoints(const Given& given, std::vector<std::string>& out,
                    std::optional<Place>& place) {
  auto list = given.texts(check_endpoint, true);
  if (!list) return;
  if (list->empty()) {
    given.wrong("an empty list: there would be nothing to connect to",
                "leave it out for the default");
    return;
  }
  std::vector<std::string> seen;
  for (const auto& endpoint : *list) {
    const auto key = endpoint_key(endpoint);
    if (!key.empty() && std::find(seen.begin(), seen.end(), key) != seen.end()) {
      given.wrong(fmt::format("\"{}\" is there twice", endpoint));
      return;
    }
    seen.push_back(key);
  }
  out = std::move(*list);
  place = place_of(given);
}

/// Made absolute; an empty one means none.
void take_path(const Given& given, std::string& out) {
  auto path = given.text();
  if (!path) return;
  if (path->empty()) {
    out.clear();
  } else if (given.good(check_path(*path))) {
    out = absolute(*path);
  }
}

void take_journal_path(const Given& given, Draft& draft) {
  auto path = given.text();
  if (!path) return;
  if (path->empty()) {
    given.wrong("is empty", "write the path of the database, or leave it out for the default");
  } else if (path->ends_with('/')) {
    given.wrong("the path is that of a directory",
                fmt::format("did you mean \"{}journal.db\"?", printable(*path)));
  } else if (given.good(check_path(*path))) {
    draft.config.journal.path = absolute(*path);
  }
}

constexpr Key<Draft> kDaemonKeys[] = {
    {"name",
     [](const Given& given, Draft& draft) {
       auto name = given.text();
       if (!name || !given.good(check_daemon_name(*name))) return;
       draft.config.daemon_name = std::move(*name);
       draft.config.daemon_name_given = true;
     }},
};

constexpr Key<Draft> kPublishKeys[] = {
    {"endpoint",
     [](const Given& given, Draft& draft) {
       take_endpoints(given, draft.config.publish.endpoints, draft.publish_endpoint);
     }},
    {"high_water_mark",
     [](const Given& given, Draft& draft) {
       // ZeroMQ takes 0 for "no limit": the memory of this process would be it.
       put(given.integer(1, std::numeric_limits<int>::max()), draft.config.publish.high_water_mark);
     }},
    {"heartbeat",
     [](const Given& given, Draft& draft) {
       put(given.duration(kShortestPeriod), draft.config.publish.heartbeat);
     }},
};

constexpr Key<Draft> kFetchKeys[] = {
    {"endpoint",
     [](const Given& given, Draft& draft) {
       take_endpoints(given, draft.config.fetch.endpoints, draft.fetch_endpoint);
     }},
};

constexpr Key<Draft> kJournalKeys[] = {
    {"path", take_journal_path},
    {"retain",
     [](const Given& given, Draft& draft) {
       put(given.duration(kShortestRetention), draft.config.journal.retain);
     }},
    {"retain_size",
     [](const Given& given, Draft& draft) {
       const auto size = given.size();
       if (size && *size < kLeastJournal) {
         given.wrong("must be at least 1MiB", "the default is \"2GiB\"");
         return;
       }
       put(size, draft.config.journal.retain_size);
     }},
    {"durability",
     [](const Given& given, Draft& draft) {
       given.choose<Config::Journal::Durability>(kDurabilities, draft.config.journal.durability);
     }},
    {"consumer_expiry",
     [](const Given& given, Draft& draft) {
       put(given.duration(kShortestRetention), draft.config.journal.consumer_expiry);
     }},
};

constexpr Key<Draft> kSecurityKeys[] = {
    {"server_key",
     [](const Given& given, Draft& draft) {
       take_path(given, draft.config.security.server_key);
       draft.server_key = place_of(given);
     }},
    {"clients",
     [](const Given& given, Draft& draft) {
       take_path(given, draft.config.security.clients);
       draft.clients = place_of(given);
     }},
    {"insecure",
     [](const Given& given, Draft& draft) {
       put(given.boolean(), draft.config.security.insecure);
       draft.insecure = place_of(given);
     }},
    {"group",
     [](const Given& given, Draft& draft) {
       auto group = given.text();
       if (!group || !given.good(check_group(*group))) return;
       draft.config.security.group = std::move(*group);
       draft.group = true;
     }},
};

constexpr Key<Draft> kLogKeys[] = {
    {"level",
     [](const Given& given, Draft& draft) { put(given.one_of(kLevels), draft.config.log.level); }},
    {"format",
     [](const Given& given, Draft& draft) {
       given.choose<Config::Log::Format>(kFormats, draft.config.log.format);
     }},
};

constexpr Section kSections[] = {{"daemon", kDaemonKeys},     {"publish", kPublishKeys},
                                 {"fetch", kFetchKeys},       {"journal", kJournalKeys},
                                 {"security", kSecurityKeys}, {"log", kLogKeys}};

void take_events(const Given& given, WatchDraft& watch) {
  auto list = given.texts();
  if (!list) return;
  if (list->empty()) {
    given.wrong("an empty list: nothing would be published",
                "leave it out for the processor's default");
    return;
  }
  const auto& known = known_event_types();
  std::vector<std::string> events;
  bool all_known = true;
  for (auto& type : *list) {
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      given.wrong(fmt::format("\"{}\" is no type of event", printable(type)), suggest(type, known));
      all_known = false;
    } else if (std::find(events.begin(), events.end(), type) == events.end()) {
      events.push_back(std::move(type));
    }
  }
  if (!all_known) return;
  watch.config.events = std::move(events);
  watch.events = place_of(given);
}

constexpr Key<WatchDraft> kWatchKeys[] = {
    {"name",
     [](const Given& given, WatchDraft& watch) {
       auto name = given.text();
       if (!name || !given.good(check_watch_name(*name))) return;
       watch.config.name = std::move(*name);
       watch.name = place_of(given);
     }},
    {"path",
     [](const Given& given, WatchDraft& watch) {
       watch.path = place_of(given);
       auto path = given.text();
       watch.path_is_bad = !path || !given.good(check_path(*path));
       if (!watch.path_is_bad) watch.config.path = std::move(*path);
     }},
    {"processor",
     [](const Given& given, WatchDraft& watch) {
       put(given.one_of(known_processors()), watch.config.processor);
     }},
    {"recursive",
     [](const Given& given, WatchDraft& watch) { put(given.boolean(), watch.config.recursive); }},
    {"events", take_events},
    {"include", [](const Given& given,
                   WatchDraft& watch) { put(given.texts(check_pattern), watch.config.include); }},
    {"exclude",
     [](const Given& given, WatchDraft& watch) {
       put(given.texts(check_pattern), watch.config.exclude);
       watch.exclude = true;
     }},
    {"temporary",
     [](const Given& given, WatchDraft& watch) {
       put(given.texts(check_pattern), watch.config.temporary);
       watch.temporary = true;
     }},
    {"temporary_add",
     [](const Given& given, WatchDraft& watch) {
       put(given.texts(check_pattern), watch.temporary_add);
     }},
    {"existing",
     [](const Given& given, WatchDraft& watch) {
       given.choose<WatchConfig::Existing>(kExisting, watch.config.existing);
     }},
    {"backend",
     [](const Given& given, WatchDraft& watch) {
       given.choose<WatchConfig::Backend>(kBackends, watch.config.backend);
     }},
    {"poll_interval",
     [](const Given& given, WatchDraft& watch) {
       put(given.duration(kShortestPeriod), watch.config.poll_interval);
     }},
    {"settle",
     [](const Given& given, WatchDraft& watch) { put(given.duration(0), watch.config.settle); }},
    {"writer_check",
     [](const Given& given, WatchDraft& watch) {
       given.choose<WatchConfig::WriterCheck>(kWriterChecks, watch.config.writer_check);
     }},
    {"require_lease", [](const Given& given,
                         WatchDraft& watch) { put(given.boolean(), watch.config.require_lease); }},
    {"stalled_after",
     [](const Given& given, WatchDraft& watch) {
       put(given.duration(0), watch.config.stalled_after);
     }},
    {"min_size",
     [](const Given& given, WatchDraft& watch) { put(given.size(), watch.config.min_size); }},
    {"renamed",
     [](const Given& given, WatchDraft& watch) {
       given.choose<WatchConfig::Renamed>(kRenamed, watch.config.renamed);
     }},
    {"previous_name",
     [](const Given& given, WatchDraft& watch) {
       auto name = given.text();
       if (!name || (!name->empty() && !given.good(check_watch_name(*name)))) return;
       watch.config.previous_name = std::move(*name);
       watch.previous_name = place_of(given);
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
    const Given given(source, node, fmt::format("{}.{}", section, name), problems);
    if (key == keys.end()) {
      given.wrong("unknown key", suggest_key(name, section));
    } else {
      key->take(given, target);
    }
  }
}

void apply_watches(const Node& node, const Source& source, Draft& draft, Problems& problems) {
  const Given given(source, node, "watch", problems);
  const auto* list = std::get_if<Node::List>(&node.value);
  if (list == nullptr) {
    given.wrong("there can be several watches, so each is an element of a list",
                "write [[watch]] with two brackets");
    return;
  }
  for (const auto& element : *list) {
    const auto* table = std::get_if<Node::Table>(&element.value);
    if (table == nullptr) {
      Given(source, element, "watch", problems)
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
    const Given given(source, node, name, problems);
    if (section != std::end(kSections) && keys != nullptr) {
      apply_table<Draft>(*keys, name, section->keys, source, draft, problems);
    } else if (section != std::end(kSections)) {
      given.wrong("is a section, not a value", fmt::format("write [{}] and its keys below", name));
    } else {
      const bool is_section = keys != nullptr || std::holds_alternative<Node::List>(node.value);
      given.wrong(is_section ? "unknown section" : "unknown key", suggest_key(name, ""));
    }
  }
}

}  // namespace inotifier::config
