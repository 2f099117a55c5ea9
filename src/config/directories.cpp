#include <algorithm>

#include "config/keys.hpp"

namespace inotifier::config {

void apply(const LoadOptions& options, const WatchDraft& defaults, Source& source, Draft& draft,
           Problems& problems) {
  source.lines = options.watch_options;
  source.lines.insert(source.lines.end(), options.directories.begin(), options.directories.end());
  auto model = defaults;
  for (std::size_t i = 0; i < options.watch_options.size(); ++i) {
    const std::string& option = options.watch_options[i];
    const auto equals = option.find('=');
    const auto name = option.substr(0, equals);
    const auto names = key_names("watch");
    if (equals == std::string::npos) {
      problems.add(source, i, name, "has no value", "write key=value, as in settle=5s");
      continue;
    }
    const auto key = std::find_if(watch_keys().begin(), watch_keys().end(),
                                  [&](const Key<WatchDraft>& known) { return known.name == name; });
    if (key == watch_keys().end()) {
      problems.add(source, i, name, "unknown key", suggest(name, names));
    } else if (name == "path") {
      problems.add(source, i, name, "the path is the directory of the command line");
    } else if (const auto node = parse_value(std::string_view(option).substr(equals + 1), i)) {
      key->take(Setting(source, *node, name, problems), model);
    } else {
      problems.add(source, i, name, "is no list", "write [\"a\", \"b\"], or a,b");
    }
  }
  for (std::size_t i = 0; i < options.directories.size(); ++i) {
    auto watch = model;
    const auto line = options.watch_options.size() + i;
    watch.place = Place{&source, line};
    watch.path = watch.place;
    watch.config.path = options.directories[i];
    const Node node{options.directories[i], line, true};
    watch.path_is_bad =
        !Setting(source, node, "directory", problems).good(check_path(watch.config.path));
    draft.watches.push_back(std::move(watch));
  }
}

}  // namespace inotifier::config
