#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "config/keys.hpp"
#include "config/load.hpp"

extern char** environ;

namespace inotifier {

Environment process_environment() {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = std::min(text.find('='), text.size());
    // getenv(3) finds the first one too.
    variables.emplace(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
  }
  return variables;
}

namespace config {
namespace {

constexpr std::string_view kPrefix = "INOTIFIER_";
constexpr std::string_view kWatches = "INOTIFIER_WATCH";

/// Looks up variables; those that are set become the lines of the source.
class Variables {
 public:
  Variables(const Environment& environment, Source& source, Problems& problems)
      : environment_(environment), source_(source), problems_(problems) {}

  std::optional<std::string> get(const std::string& name) {
    const auto found = environment_.find(name);
    if (found == environment_.end() || found->second.empty()) return std::nullopt;
    source_.lines.push_back(fmt::format("{}={}", name, found->second));
    return found->second;
  }
  /// False if it is not set.
  bool read(const Key& key, Target target, Given& given) {
    const auto name = variable_name(key.name);
    const auto text = get(name);
    if (!text) return false;
    given[key.name] = read_text(key, name, *text, source_, line(), target, problems_);
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

/// What was meant by a variable that no key has; "" if it is probably not for this program.
std::string suggest_variable(const std::string& name, const std::vector<std::string>& known) {
  if (name == "INOTIFIER_WATCH_PATH" || name == "INOTIFIER_WATCHES") {
    return "did you mean \"INOTIFIER_WATCH\"?";
  }
  if (const auto near = nearest(name, known, false); !near.empty()) {
    return fmt::format("did you mean \"{}\"?", near);
  }
  std::string suggestion;
  for (const auto& section : section_names()) {
    const auto begin = variable_name(section) + '_';
    if (!name.starts_with(begin) && name + '_' != begin) continue;
    std::vector<std::string> of_section;
    std::copy_if(known.begin(), known.end(), std::back_inserter(of_section),
                 [&](const std::string& each) { return each.starts_with(begin); });
    suggestion = suggest("", of_section);
  }
  return suggestion;
}

/// Variables that no key has but that were probably meant for this program.
void find_mistyped(const Environment& environment, Variables& variables) {
  // The last ones are what a command finds, and what the clients read.
  std::vector<std::string> others{"INOTIFIER_PATH", "INOTIFIER_TYPE",       "INOTIFIER_ID",
                                  "INOTIFIER_KEY",  "INOTIFIER_SERVER_KEY", "INOTIFIER_ROOTS"};
  std::vector<std::string> known{"INOTIFIER_CONFIG", std::string(kWatches)};
  for (const auto& key : kKeys) {
    if (key.name != "watch.path") known.push_back(variable_name(key.name));  // INOTIFIER_WATCH
  }
  const auto is_in = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto& [name, text] : environment) {
    if (!name.starts_with(kPrefix) || is_in(known, name) || is_in(others, name) ||
        is_service_link(std::string_view(name).substr(kPrefix.size()))) {
      continue;
    }
    const auto suggestion = suggest_variable(name, known);
    if (!suggestion.empty() && variables.get(name)) {
      variables.wrong(name, "unknown variable", suggestion);
    }
  }
}

/// A command that we started has the event in its environment; there INOTIFIER_WATCH is a name.
bool is_inside_a_command(const Environment& environment) {
  return environment.contains("INOTIFIER_ID") && environment.contains("INOTIFIER_TYPE");
}

}  // namespace

std::string variable_name(std::string_view key) {
  std::string name = fmt::format("{}{}", kPrefix, key);
  for (char& c : name) {
    if (c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

void apply(const Environment& environment, const LoadOptions& options, Source& source, Draft& draft,
           WatchDraft& watch_defaults, Problems& problems) {
  Variables variables(environment, source, problems);
  find_mistyped(environment, variables);
  const bool inside = is_inside_a_command(environment);
  const auto text = environment.find(kWatches);
  const bool is_read = text != environment.end() && !options.only_directories && !inside;
  const auto paths = split_paths(is_read ? text->second : "");
  const bool has_watch = !paths.empty() || !options.directories.empty() || inside;
  for (const auto& key : kKeys) {
    const bool of_watch = key.section() == "watch";
    const Target target = of_watch ? Target(&watch_defaults.config) : Target(&draft.config);
    if (key.name == "watch.path" ||
        !variables.read(key, target, of_watch ? watch_defaults.given : draft.given)) {
      continue;
    }
    if (of_watch && !has_watch) {
      variables.wrong(variable_name(key.name),
                      "there is no watch that this is for: it holds for those that "
                      "INOTIFIER_WATCH makes, not for those of the file",
                      "set INOTIFIER_WATCH=/a:/b, or write it below [[watch]]");
    }
  }
  if (paths.empty()) return;
  variables.get(std::string(kWatches));
  for (const auto& path : paths) {
    draft.watches.push_back(
        watch_at(path, kWatches, source, variables.line(), watch_defaults, problems));
  }
}

}  // namespace config
}  // namespace inotifier
