#include "config/keys.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace inotifier::config {
namespace {

// The length of one turn of the pipeline at most; nothing periodic makes sense below it.
constexpr std::int64_t kShortestPeriod = 10'000'000;

const std::vector<std::string> kLevels{"debug", "info", "warning", "error"};

template <typename T, typename Out>
void put(std::optional<T> value, Out& out) {
  if (value) out = static_cast<Out>(std::move(*value));
}

void take_endpoints(const Given& given, Config& config) {
  auto list = given.texts(check_endpoint, true);
  if (!list) return;
  if (list->empty()) {
    given.wrong("an empty list: there would be nothing to subscribe to",
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
  config.publish.endpoints = std::move(*list);
}

constexpr Key<Config> kDaemonKeys[] = {
    {"name",
     [](const Given& given, Config& config) {
       auto name = given.text();
       if (name && given.good(check_daemon_name(*name))) config.daemon_name = std::move(*name);
     }},
};

constexpr Key<Config> kPublishKeys[] = {
    {"endpoint", take_endpoints},
    {"high_water_mark",
     [](const Given& given, Config& config) {
       // ZeroMQ takes 0 for "no limit": the memory of this process would be it.
       put(given.integer(1, std::numeric_limits<int>::max()), config.publish.high_water_mark);
     }},
    {"heartbeat",
     [](const Given& given, Config& config) {
       put(given.duration(kShortestPeriod), config.publish.heartbeat);
     }},
};

constexpr Key<Config> kLogKeys[] = {
    {"level",
     [](const Given& given, Config& config) { put(given.one_of(kLevels), config.log.level); }},
    {"format",
     [](const Given& given, Config& config) {
       given.choose<Config::Log::Format>(kFormats, config.log.format);
     }},
};

constexpr Section kSections[] = {
    {"daemon", kDaemonKeys}, {"publish", kPublishKeys}, {"log", kLogKeys}};

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
  watch.events = Place{&given.source(), given.line()};
}

constexpr Key<WatchDraft> kWatchKeys[] = {
    {"name",
     [](const Given& given, WatchDraft& watch) {
       auto name = given.text();
       if (!name || !given.good(check_watch_name(*name))) return;
       watch.config.name = std::move(*name);
       watch.name = Place{&given.source(), given.line()};
     }},
    {"path",
     [](const Given& given, WatchDraft& watch) {
       watch.path = Place{&given.source(), given.line()};
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
  if (section.empty()) return "known are: [daemon], [publish], [log], [[watch]]";
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
      apply_table<Config>(*keys, name, section->keys, source, draft.config, problems);
    } else if (section != std::end(kSections)) {
      given.wrong("is a section, not a value", fmt::format("write [{}] and its keys below", name));
    } else {
      const bool is_section = keys != nullptr || std::holds_alternative<Node::List>(node.value);
      given.wrong(is_section ? "unknown section" : "unknown key", suggest_key(name, ""));
    }
  }
}

}  // namespace inotifier::config
