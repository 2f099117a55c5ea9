#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "config/keys.hpp"
#include "config/load.hpp"

extern char** environ;

namespace inotifier {

Environment process_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return Environment(
      [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return value;
      },
      std::move(names));
}

namespace config {
namespace {

constexpr std::string_view kPrefix = "INOTIFIER_";
constexpr std::string_view kWatches = "INOTIFIER_WATCH";

std::string variable_name(std::string_view section, std::string_view key) {
  std::string name = fmt::format("{}{}_{}", kPrefix, section, key);
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

/// Looks up variables and remembers those that are set as lines of the source.
class Variables {
 public:
  Variables(const Environment& environment, Source& source, Problems& problems)
      : environment_(environment), source_(source), problems_(problems) {}

  std::optional<std::string> get(const std::string& name) {
    auto text = environment_(name);
    if (!text || text->empty()) return std::nullopt;
    source_.lines.push_back(fmt::format("{}={}", name, *text));
    return text;
  }

  template <typename Target>
  bool take(const std::string& name, const Key<Target>& key, Target& target) {
    const auto text = get(name);
    if (!text) return false;
    const auto node = parse_value(*text, line());
    if (!node) {
      wrong(name, "is no list", "write [\"a\", \"b\"], or a,b");
      return true;
    }
    key.take(Setting(source_, *node, name, problems_), target);
    return true;
  }

  void wrong(const std::string& name, std::string_view reason, std::string_view suggestion) {
    problems_.add(source_, line(), name, reason, suggestion);
  }
  /// The line of the variable that was set last.
  std::size_t line() const { return source_.lines.size() - 1; }

 private:
  const Environment& environment_;
  Source& source_;
  Problems& problems_;
};

std::vector<std::string> split_paths(std::string_view text) {
  std::vector<std::string> paths;
  while (!text.empty()) {
    const auto colon = text.find(':');
    if (const auto path = text.substr(0, colon); !path.empty()) paths.emplace_back(path);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return paths;
}

/// Container platforms make such for a service called like us.
bool is_service_link(std::string_view rest) {
  return rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_") ||
         rest.find("_SERVICE_") != std::string_view::npos || rest.ends_with("_PORT") ||
         rest.find("_PORT_") != std::string_view::npos;
}

/// Variables that we do not know but that were probably meant for us.
void find_mistyped(const Environment& environment, Variables& variables) {
  std::map<std::string, std::string> known;  // by name: what to write
  std::vector<std::string> names{"INOTIFIER_CONFIG", std::string(kWatches)};
  for (const auto& section : section_names()) {
    for (const auto& key : key_names(section)) {
      if (section == "watch" && key == "path") continue;  // INOTIFIER_WATCH it is
      names.push_back(variable_name(section, key));
    }
  }
  // What a command of ours finds, and what the clients read.
  const std::vector<std::string> of_others{"INOTIFIER_PATH", "INOTIFIER_TYPE", "INOTIFIER_ID",
                                           "INOTIFIER_KEY", "INOTIFIER_SERVER_KEY"};
  for (const auto& name : environment.names()) {
    if (!name.starts_with(kPrefix) || std::find(names.begin(), names.end(), name) != names.end() ||
        std::find(of_others.begin(), of_others.end(), name) != of_others.end()) {
      continue;
    }
    const auto rest = std::string_view(name).substr(kPrefix.size());
    if (is_service_link(rest)) continue;
    std::string section;
    for (const auto& candidate : section_names()) {
      const auto begin = variable_name(candidate, "");
      if (name.starts_with(begin) || name + "_" == begin) section = candidate;
    }
    std::string suggestion;
    if (name == "INOTIFIER_WATCH_PATH" || name == "INOTIFIER_WATCHES") {
      suggestion = "did you mean \"INOTIFIER_WATCH\"?";
    } else if (const auto near = nearest(name, names, false); !near.empty()) {
      suggestion = fmt::format("did you mean \"{}\"?", near);
    } else if (!section.empty()) {
      std::vector<std::string> of_section;
      const auto begin = variable_name(section, "");
      std::copy_if(names.begin(), names.end(), std::back_inserter(of_section),
                   [&](const std::string& n) { return n.starts_with(begin); });
      suggestion = suggest("", of_section);
    } else {
      continue;
    }
    if (variables.get(name)) variables.wrong(name, "unknown variable", suggestion);
  }
}

/// A command that we started has the event in its environment; there INOTIFIER_WATCH is a name.
bool is_inside_a_command(const Environment& environment) {
  return environment("INOTIFIER_ID").has_value() && environment("INOTIFIER_TYPE").has_value();
}

}  // namespace

void apply(const Environment& environment, const LoadOptions& options, Source& source, Draft& draft,
           WatchDraft& watch_defaults, Problems& problems) {
  Variables variables(environment, source, problems);
  find_mistyped(environment, variables);
  for (const auto& section : sections()) {
    for (const auto& key : section.keys) {
      variables.take(variable_name(section.name, key.name), key, draft);
    }
  }
  const bool inside = is_inside_a_command(environment);
  const auto text =
      options.only_directories || inside ? std::nullopt : environment(std::string(kWatches));
  const auto paths = split_paths(text.value_or(""));
  for (const auto& key : watch_keys()) {
    const auto name = variable_name("watch", key.name);
    if (key.name == "path" || !variables.take(name, key, watch_defaults)) continue;
    if (paths.empty() && options.directories.empty() && !inside) {
      variables.wrong(name,
                      "there is no watch that this is for: it holds for those that "
                      "INOTIFIER_WATCH makes, not for those of the file",
                      "set INOTIFIER_WATCH=/a:/b, or write it below [[watch]]");
    }
  }
  if (paths.empty()) return;
  variables.get(std::string(kWatches));
  for (const auto& path : paths) {
    auto watch = watch_defaults;
    watch.place = Place{&source, variables.line()};
    watch.path = watch.place;
    watch.config.path = path;
    const Node node{path, variables.line(), true};
    watch.path_is_bad =
        !Setting(source, node, std::string(kWatches), problems).good(check_path(path));
    draft.watches.push_back(std::move(watch));
  }
}

}  // namespace config
}  // namespace inotifier
